// Line charts of the last quarter of an hour, drawn with d3.

import { byId, el, reconcile, setText } from './dom.js';
import { milliseconds, number } from './format.js';

const KEEP_MS = 15 * 60 * 1000;
const SAMPLE_MS = 2000;
const FIELDS = ['tokens_per_s', 'capacity_tokens_per_s', 'ttft_p50_ms', 'ttft_p95_ms', 'itl_p50_ms', 'itl_p95_ms'];
const CHARTS = [
  { id: 'chart-rate', format: number, area: true, lines: [['tokens_per_s', 'k1'], ['capacity_tokens_per_s', 'k2']], gaps: false },
  { id: 'chart-ttft', format: milliseconds, lines: [['ttft_p50_ms', 'k1'], ['ttft_p95_ms', 'k3']], gaps: true },
  { id: 'chart-itl', format: milliseconds, lines: [['itl_p50_ms', 'k1'], ['itl_p95_ms', 'k3']], gaps: true },
];

let samples = [];

/** What the coordinator remembers from before this page was opened. */
export async function loadHistory(ask) {
  try {
    const history = await ask('/console/api/history');
    const now = Date.now();
    samples = history.age_s.map((age, i) => ({
      at: now - age * 1000, ...Object.fromEntries(FIELDS.map((field) => [field, history[field][i]])),
    }));
  } catch { /* the charts then begin now */ }
}

export function takeSample(summary) {
  const now = Date.now();
  if (samples.length > 0 && now - samples[samples.length - 1].at < SAMPLE_MS) return;
  samples.push({ at: now, ...Object.fromEntries(FIELDS.map((field) => [field, summary[field]])) });
  samples = samples.filter((sample) => now - sample.at < KEEP_MS);
  drawCharts();
}

function draw(chart) {
  const { d3 } = window;
  const holder = byId(chart.id);
  const [width, height] = [holder.clientWidth, holder.clientHeight];
  if (width === 0) return;
  const margin = { top: 8, right: 8, bottom: 22, left: 48 };
  const end = samples.length > 0 ? samples[samples.length - 1].at : Date.now();
  const begin = Math.min(end - 60000, samples.length > 0 ? samples[0].at : end);
  const x = d3.scaleTime().domain([begin, end]).range([margin.left, width - margin.right]);
  const top = d3.max(samples, (sample) => d3.max(chart.lines, ([field]) => sample[field])) || 1;
  const y = d3.scaleLinear().domain([0, top * 1.08]).nice(4).range([height - margin.bottom, margin.top]);

  const svg = d3.select(holder).selectAll('svg').data([0]).join('svg')
    .attr('viewBox', `0 0 ${width} ${height}`).attr('role', 'img');
  svg.selectAll(':scope > g').data(['grid', 'x', 'lines', 'cursor']).join('g').attr('class', (name) => name);
  svg.select('.grid').attr('transform', `translate(${margin.left},0)`)
    .call(d3.axisLeft(y).ticks(4).tickSize(-(width - margin.left - margin.right)).tickFormat((v) => (v === 0 ? '0' : chart.format(v))));
  svg.select('.x').attr('transform', `translate(0,${height - margin.bottom})`)
    .call(d3.axisBottom(x).ticks(Math.max(2, Math.floor(width / 110))).tickSize(0).tickPadding(8).tickFormat(d3.timeFormat(end - begin > 240000 ? '%H:%M' : '%H:%M:%S')));

  const lines = svg.select('.lines');
  const defined = (field) => (sample) => !chart.gaps || sample[field] > 0;
  if (chart.area) {
    const [field] = chart.lines[0];
    lines.selectAll('path.area').data([samples]).join('path').attr('class', 'area')
      .attr('d', d3.area().x((s) => x(s.at)).y0(y(0)).y1((s) => y(s[field])).curve(d3.curveMonotoneX));
  }
  lines.selectAll('path.line').data(chart.lines).join('path').attr('class', ([, key]) => `line ${key}`)
    .attr('d', ([field]) => d3.line().defined(field.startsWith('capacity') ? (s) => s[field] > 0 : defined(field))
      .x((s) => x(s.at)).y((s) => y(s[field])).curve(d3.curveMonotoneX)(samples));
  const last = samples[samples.length - 1];
  svg.attr('aria-label', last
    ? `Now: ${chart.lines.map(([field]) => `${field.replace(/_(ms|s)$/, '').replaceAll('_', ' ')} ${chart.format(last[field])}`).join(', ')}`
    : 'Nothing yet');
  svg.on('pointermove', () => {
    const [px] = d3.mouse(svg.node());
    const index = Math.min(samples.length - 1, Math.max(0, d3.bisector((s) => s.at).left(samples, x.invert(px).getTime())));
    if (samples.length > 0) showCursor(svg, chart, samples[index], x, y, width);
  }).on('pointerleave', () => svg.select('.cursor').selectAll('*').remove());
}

function showCursor(svg, chart, sample, x, y, width) {
  const cursor = svg.select('.cursor');
  cursor.selectAll('*').remove();
  const [top, bottom] = [y.range()[1], y.range()[0]];
  cursor.append('line').attr('x1', x(sample.at)).attr('x2', x(sample.at)).attr('y1', top).attr('y2', bottom);
  const values = chart.lines.filter(([field]) => sample[field] > 0);
  for (const [field, key] of values) cursor.append('circle').attr('class', key).attr('r', 3.5).attr('cx', x(sample.at)).attr('cy', y(sample[field]));
  const right = x(sample.at) > width / 2;
  cursor.append('text').attr('x', x(sample.at) + (right ? -8 : 8)).attr('y', top + 12).attr('text-anchor', right ? 'end' : 'start')
    .text(values.map(([field]) => chart.format(sample[field])).join(' · ') || 'none');
}

function showTable() {
  // Every half minute, newest first.
  const rows = [];
  for (let i = samples.length - 1; i >= 0; i -= 15) rows.push(samples[i]);
  reconcile(byId('charts-table'), rows, (row) => row.at, () => el('tr', {}, el('th', { scope: 'row' }), ...Array.from({ length: 5 }, () => el('td', { class: 'num' }))), (tr, row) => {
    const cells = [new Date(row.at).toLocaleTimeString('en-GB'), number(row.tokens_per_s), milliseconds(row.ttft_p50_ms), milliseconds(row.ttft_p95_ms), milliseconds(row.itl_p50_ms), milliseconds(row.itl_p95_ms)];
    cells.forEach((text, i) => setText(tr.children[i], text));
  });
}

export function drawCharts() {
  showTable();
  const missing = window.d3 === undefined;
  byId('charts-missing').hidden = !missing;
  byId('charts').hidden = missing;
  if (!missing) CHARTS.forEach(draw);
}

window.addEventListener('resize', () => window.d3 && CHARTS.forEach(draw));
