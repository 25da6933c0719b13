// The prompt box: an answer token by token, and which experts computed each of them.

import { byId, colourOf, el, mix, rgb, setText, sizeCanvas } from './dom.js';
import { plural } from './format.js';

const STEP_MS = 90; // of the replay once the picture has come

let tokens = []; // {text, row, thinking}
let promptTokens = 0;
let routing = null; // {rows, layers, topK, data: Int32Array}
let chosen = -1;
let controller = null;
let replay = 0;
let expertCount = 0;

const stillMotion = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** Calls `onEvent` with the JSON of each server-sent event of a response. */
async function readEvents(response, onEvent) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trim()).join('\n');
      if (data && data !== '[DONE]') onEvent(JSON.parse(data));
    }
  }
}

function decodeRouting(base64, [rows, layers, topK]) {
  const raw = atob(base64);
  const buffer = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) buffer[i] = raw.charCodeAt(i);
  return { rows, layers, topK, data: new Int32Array(buffer.buffer) };
}

/** Experts of one token: [layer] → expert numbers, the heaviest first. */
function expertsAt(row) {
  const per = routing.layers * routing.topK;
  return Array.from({ length: routing.layers }, (_, layer) => [...routing.data.subarray(row * per + layer * routing.topK, row * per + (layer + 1) * routing.topK)]);
}

function addToken(text, ids, thinking) {
  // Characters of several tokens may come together: they share the row of the last.
  const row = promptTokens - 1 + tokens.reduce((sum, token) => sum + token.ids, 0) + Math.max(0, ids - 1);
  const index = tokens.length;
  tokens.push({ text, ids, row });
  const span = el('span', { class: thinking ? 'token thinking' : 'token' }, text);
  span.addEventListener('pointerenter', () => routing && choose(index));
  byId('answer').append(span);
}

function take(chunk) {
  if (chunk.error) throw new Error(chunk.error.message ?? 'the router failed');
  if (chunk.no_picture) {
    setText('prompt-note', chunk.no_picture);
    return;
  }
  if (chunk.prompt_token_ids) promptTokens = chunk.prompt_token_ids.length;
  const choice = chunk.choices?.[0];
  if (!choice) return;
  const ids = choice.token_ids?.length ?? 0;
  const { reasoning_content: thought, content } = choice.delta ?? {};
  if (thought || content || ids > 0) addToken(thought || content || '', ids, Boolean(thought));
  if (choice.routed_experts) routing = decodeRouting(choice.routed_experts, choice.routed_experts_shape);
}

export function redrawPicture() {
  if (!routing || chosen < 0) return;
  const canvas = byId('picture-canvas');
  const width = canvas.clientWidth;
  if (width === 0) return;
  const cellWidth = width / expertCount;
  const cellHeight = Math.max(4, Math.min(18, Math.floor(260 / routing.layers)));
  const context = sizeCanvas(canvas, width, routing.layers * cellHeight);
  const [low, hot] = ['c-low', 'c-hot'].map(colourOf);
  const gap = cellWidth > 5 ? 1 : 0;
  const used = expertsAt(Math.min(tokens[chosen].row, routing.rows - 1));
  for (let layer = 0; layer < routing.layers; layer += 1) {
    context.fillStyle = rgb(low);
    for (let expert = 0; expert < expertCount; expert += 1) context.fillRect(expert * cellWidth, layer * cellHeight, cellWidth - gap, cellHeight - gap);
    used[layer].forEach((expert, rank) => {
      context.fillStyle = rgb(mix(hot, low, 0.45 * rank / Math.max(1, routing.topK - 1)));
      context.fillRect(expert * cellWidth, layer * cellHeight, Math.max(2, cellWidth - gap), cellHeight - gap);
    });
  }
}

function choose(index) {
  chosen = index;
  const spans = byId('answer').children;
  for (let i = 0; i < spans.length; i += 1) spans[i].classList.toggle('chosen', i === index);
  setText('picture-caption', `Experts that computed “${tokens[index].text.trim() || '␣'}”: ${routing.topK} of ${expertCount} in each of ${routing.layers} layers`);
  redrawPicture();
}

async function showPicture() {
  if (!routing || tokens.length === 0) return;
  byId('picture').hidden = false;
  const mine = ++replay;
  for (let i = stillMotion() ? tokens.length - 1 : 0; i < tokens.length && mine === replay; i += 1) {
    if (tokens[i].text === '') continue; // the end token has no text
    choose(i);
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}

async function send(event) {
  event.preventDefault();
  replay += 1;
  [tokens, promptTokens, routing, chosen] = [[], 0, null, -1];
  byId('answer').replaceChildren();
  byId('answer').hidden = false;
  byId('picture').hidden = true;
  setText('prompt-note', 'Answering…');
  byId('send').disabled = true;
  byId('stop').hidden = false;
  controller = new AbortController();
  const started = performance.now();
  try {
    const response = await fetch('/console/api/chat', {
      method: 'POST', signal: controller.signal, headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ prompt: byId('prompt').value, max_tokens: Number(byId('max-tokens').value) }),
    });
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
      throw new Error((await response.json()).error?.message ?? `HTTP ${response.status}`);
    }
    let noPicture = '';
    await readEvents(response, (chunk) => {
      noPicture ||= chunk.no_picture ?? '';
      take(chunk);
    });
    const total = tokens.reduce((sum, token) => sum + token.ids, 0);
    const seconds = (performance.now() - started) / 1000;
    setText('prompt-note', `${plural(total, 'token')} in ${seconds.toFixed(1)} s.${noPicture ? ` No picture: ${noPicture}.` : ' Point at a token, or use the arrow keys in the answer, to see its experts.'}`);
  } catch (error) {
    setText('prompt-note', error.name === 'AbortError' ? 'Stopped.' : `No answer: ${error.message}`);
  }
  byId('send').disabled = false;
  byId('stop').hidden = true;
  await showPicture();
}

export function setExpertCount(count) {
  expertCount = count;
}

export function startPrompt() {
  byId('prompt-form').addEventListener('submit', send);
  byId('stop').addEventListener('click', () => controller?.abort());
  byId('prompt').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      if (!byId('send').disabled) byId('prompt-form').requestSubmit();
    }
  });
  byId('answer').addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !routing) return;
    event.preventDefault();
    replay += 1;
    choose(Math.max(0, Math.min(tokens.length - 1, chosen + step)));
  });
  new ResizeObserver(redrawPicture).observe(byId('prompt-form'));
}
