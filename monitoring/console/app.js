// The console: asks the coordinator once a second and shows what it says.

import { drawCharts, loadHistory, takeSample } from './charts.js';
import { showCluster } from './cluster_map.js';
import { showCosts } from './costs.js';
import { byId, setText } from './dom.js';
import { showEvents } from './events.js';
import { milliseconds, money, number } from './format.js';
import { redrawHeat, showExperts, startHeat } from './heat_map.js';
import { redrawPicture, setExpertCount, startPrompt } from './prompt.js';

const POLL_MS = 1000;
const TIMEOUT_MS = 4000;
const HEALTH = { HEALTH_OK: 'ok', HEALTH_IMPAIRED: 'impaired', HEALTH_DOWN: 'down' };

let lastHeard = null;
let polls = 0;

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

function showHeadline(cluster) {
  const { summary } = cluster;
  const health = HEALTH[summary.health] ?? 'unknown';
  byId('headline').dataset.health = health;
  // A name such as shard-7 is not broken at its hyphen.
  setText('sentence', summary.sentence.replace(/(\w)-(?=\w)/g, '$1\u2011'));
  setText('advice', summary.advice);
  byId('advice').hidden = summary.advice === '';
  // Read out when the state changes, not with every figure.
  setText('announcer', `${summary.sentence.split('. ')[0]}. ${summary.advice}`);
  document.title = `${{ ok: '', impaired: '⚠ ', down: '✖ ' }[health] ?? ''}Moesaic console`;
  setText('model', cluster.model?.model_id ?? '');
  setText('epoch', cluster.epoch ? `Placement ${cluster.epoch.term}.${cluster.epoch.version}, policy ${cluster.policy}.` : '');
}

function showFigures({ summary }) {
  setText('rate', number(summary.tokens_per_s));
  setText('rate-note', `${number(summary.prompt_tokens_per_s)} prompt tokens/s · ${summary.running} running, ${summary.waiting} waiting`);
  const capacity = summary.capacity_tokens_per_s;
  setText('headroom', capacity > 0 ? number(Math.max(0, capacity - summary.tokens_per_s)) : 'not known');
  setText('headroom-unit', capacity > 0 ? 'tokens/s more' : 'yet');
  setText('headroom-note', capacity > 0
    ? `${Math.round(100 * Math.min(1, summary.tokens_per_s / capacity))} % used${summary.bottleneck ? ` · limit: ${summary.bottleneck}` : ''}`
    : 'it shows under load');
  byId('headroom-bar').style.width = `${capacity > 0 ? Math.min(100, 100 * summary.tokens_per_s / capacity) : 0}%`;
  for (const what of ['ttft', 'itl']) {
    setText(what, milliseconds(summary[`${what}_p50_ms`]));
    setText(`${what}-note`, summary[`${what}_p95_ms`] > 0 ? `slowest 5 %: ${milliseconds(summary[`${what}_p95_ms`])}` : 'nothing in the last seconds');
  }
  showCostTile(summary);
}

function showCostTile(summary) {
  const priced = summary.currency !== '' && summary.cost_per_hour > 0;
  setText('cost', priced ? money(summary.cost_per_hour, summary.currency) : 'unknown');
  setText('cost-unit', priced ? 'an hour' : '');
  const notes = [];
  if (!summary.currency) notes.push('start with --price-list');
  if (summary.cost_per_million_tokens > 0) notes.push(`${money(summary.cost_per_million_tokens, summary.currency)} per million tokens`);
  if (summary.currency && summary.nodes_without_price > 0) notes.push(`${number(summary.nodes_without_price)} nodes without a price`);
  const saved = summary.cost_on_demand_per_hour - summary.cost_per_hour;
  if (priced && saved > 0.005) notes.push(`spot saves ${money(saved, summary.currency)}`);
  if (priced && summary.budget_per_month > 0) {
    notes.push(`${Math.round(100 * summary.cost_per_hour * 730 / summary.budget_per_month)} % of the budget`);
  }
  setText('cost-note', notes.join(' · '));
}

function showPulse(ok) {
  const pulse = byId('pulse');
  pulse.dataset.state = ok ? 'live' : 'lost';
  if (ok) {
    setText('pulse-text', 'live');
  } else {
    setText('pulse-text', lastHeard ? `no answer since ${lastHeard.toLocaleTimeString('en-GB')}` : 'no answer');
  }
  document.body.classList.toggle('stale', !ok && lastHeard !== null);
}

async function poll() {
  try {
    const cluster = await ask('/console/api/cluster');
    lastHeard = new Date();
    showHeadline(cluster);
    showFigures(cluster);
    showCluster(cluster);
    showCosts(cluster.summary);
    showEvents(cluster.events);
    takeSample(cluster.summary);
    setExpertCount(cluster.topology?.experts_per_layer ?? 0);
    showPulse(true);
    if (polls++ % 2 === 0) showExperts(await ask('/console/api/experts'), cluster);
  } catch (error) {
    // A coordinator that is away is shown, not logged: it may be restarting.
    if (!(error instanceof TypeError || error.name === 'TimeoutError' || error.message.startsWith('/console'))) throw error;
    showPulse(false);
    setText('announcer', 'The coordinator does not answer. Routers and shards go on without it.');
  }
}

async function run() {
  for (;;) {
    const started = performance.now();
    if (!document.hidden) await poll();
    await new Promise((resolve) => setTimeout(resolve, Math.max(100, POLL_MS - (performance.now() - started))));
  }
}

function startTheme() {
  const button = byId('theme');
  const choices = ['auto', 'light', 'dark'];
  const names = { auto: 'as the system', light: 'light', dark: 'dark' };
  const show = () => {
    const now = document.documentElement.dataset.theme ?? 'auto';
    setText(button, now[0].toUpperCase() + now.slice(1));
    button.setAttribute('aria-label', `Colours: ${names[now]}`);
    drawCharts();
    redrawHeat();
    redrawPicture();
  };
  button.addEventListener('click', () => {
    const now = document.documentElement.dataset.theme ?? 'auto';
    const next = choices[(choices.indexOf(now) + 1) % choices.length];
    if (next === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem('theme', next);
    } catch { /* kept for this page only */ }
    show();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
  show();
}

startHeat();
startPrompt();
startTheme();
loadHistory(ask).finally(run);
