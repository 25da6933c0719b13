// The prompt box: an answer token by token, and which experts computed each of them, as they come.

import { byId, colourOf, el, mix, rgb, setText, sizeCanvas } from './dom.js';
import { plural } from './format.js';

let tokens = []; // {text, ids, experts: Int32Array [layers × topK] or null, layers, topK}
let chosen = -1;
let following = true; // the picture goes along with the answer, until somebody points at a token
let controller = null;
let frame = 0;
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

/** Experts of the last token of a choice: per layer, the heaviest first. */
function expertsOf(choice) {
  if (!choice.routed_experts) return { experts: null };
  const [rows, layers, topK] = choice.routed_experts_shape;
  const bytes = Uint8Array.from(atob(choice.routed_experts), (letter) => letter.charCodeAt(0));
  const all = new Int32Array(bytes.buffer);
  return { experts: all.subarray((rows - 1) * layers * topK), layers, topK };
}

function addToken(text, ids, thinking, experts) {
  // Characters of several tokens may come together: they show the experts of the last.
  const index = tokens.length;
  tokens.push({ text, ids, ...experts });
  const span = el('span', { class: thinking ? 'token thinking' : 'token' }, text);
  span.addEventListener('pointerenter', () => pointAt(index));
  byId('answer').append(span);
}

function take(chunk) {
  if (chunk.error) throw new Error(chunk.error.message ?? 'the router failed');
  if (chunk.no_picture) {
    setText('prompt-note', chunk.no_picture);
    return;
  }
  const choice = chunk.choices?.[0];
  if (!choice) return;
  const ids = choice.token_ids?.length ?? 0;
  const { reasoning_content: thought, content } = choice.delta ?? {};
  if (thought || content || ids > 0) addToken(thought || content || '', ids, Boolean(thought), expertsOf(choice));
  if (following && !stillMotion()) frame ||= requestAnimationFrame(chooseLast);
}

export function redrawPicture() {
  if (chosen < 0) return;
  const { experts, layers, topK } = tokens[chosen];
  const canvas = byId('picture-canvas');
  const width = canvas.clientWidth;
  if (width === 0) return;
  const cellWidth = width / expertCount;
  const cellHeight = Math.max(4, Math.min(18, Math.floor(260 / layers)));
  const context = sizeCanvas(canvas, width, layers * cellHeight);
  const [low, hot] = ['c-low', 'c-hot'].map(colourOf);
  const gap = cellWidth > 5 ? 1 : 0;
  for (let layer = 0; layer < layers; layer += 1) {
    context.fillStyle = rgb(low);
    for (let expert = 0; expert < expertCount; expert += 1) context.fillRect(expert * cellWidth, layer * cellHeight, cellWidth - gap, cellHeight - gap);
    experts.subarray(layer * topK, (layer + 1) * topK).forEach((expert, rank) => {
      context.fillStyle = rgb(mix(hot, low, 0.45 * rank / Math.max(1, topK - 1)));
      context.fillRect(expert * cellWidth, layer * cellHeight, Math.max(2, cellWidth - gap), cellHeight - gap);
    });
  }
}

function choose(index) {
  if (!tokens[index]?.experts) return;
  const spans = byId('answer').children;
  spans[chosen]?.classList.remove('chosen');
  chosen = index;
  spans[chosen].classList.add('chosen');
  const { text, layers, topK } = tokens[chosen];
  byId('picture').hidden = false;
  setText('picture-caption', `Experts that computed “${text.trim() || '␣'}”: ${topK} of ${expertCount} in each of ${layers} layers`);
  redrawPicture();
}

/** The newest token that can be seen: an end token has no text. */
function chooseLast() {
  frame = 0;
  if (!following) return;
  byId('answer').scrollTop = byId('answer').scrollHeight;
  choose(tokens.findLastIndex((token) => token.text && token.experts));
}

/** The reader's own choice: from here on the picture stays. */
function pointAt(index) {
  following = false;
  choose(index);
}

async function send(event) {
  event.preventDefault();
  [tokens, chosen, following] = [[], -1, true];
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
  chooseLast();
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
    if (!step || chosen < 0) return;
    event.preventDefault();
    pointAt(Math.max(0, Math.min(tokens.length - 1, chosen + step)));
  });
  new ResizeObserver(redrawPicture).observe(byId('prompt-form'));
}
