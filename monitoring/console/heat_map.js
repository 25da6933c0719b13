// Layer × unit: how much each unit is used, how often it is held, and by whom.

import { STATE_WORDS } from './cluster_map.js';
import { byId, colourOf, el, mix, reconcile, rgb, setText, sizeCanvas } from './dom.js';
import { number } from './format.js';

const LEFT = 34; // room for layer numbers
const TOP = 4;
const DEAD = new Set(['SUSPECT', 'EXPIRED']);

let experts = null;
let shards = new Map();
let chosen = null; // {layer, unit} as indices
let geometry = null;

const mode = () => document.querySelector('input[name=heat]:checked').value;
const isLive = (id) => shards.has(id) && !DEAD.has(shards.get(id).state);

/** "expert 5" or "experts 8–15". */
export function expertsOf(unit, unitSize, perLayer) {
  const first = unit * unitSize;
  const last = Math.min(perLayer, first + unitSize) - 1;
  return first === last ? `expert ${first}` : `experts ${first}–${last}`;
}

const nameOf = (unit) => expertsOf(unit, experts.unit_size, experts.experts_per_layer);

function holderWords(ids) {
  if (ids.length === 0) return 'no shard holds it';
  const words = ids.map((id) => {
    const shard = shards.get(id);
    if (!shard) return `shard ${id}`;
    return shard.state === 'SERVING' ? shard.placed.shard : `${shard.placed.shard} (${STATE_WORDS[shard.state] ?? shard.state})`;
  });
  return `on ${words.join(', ')}`;
}

function describe({ layer, unit }) {
  const rate = experts.rows_per_s[layer][unit];
  return `Layer ${experts.layers[layer]}, ${nameOf(unit)}: ${number(rate)} rows/s, ${holderWords(experts.holders[layer][unit])}`;
}

function levels() {
  const live = experts.holders.map((row) => row.map((ids) => ids.filter(isLive).length));
  const byLoad = mode() === 'load';
  const values = byLoad ? experts.rows_per_s : live;
  let highest = 0;
  for (const row of values) for (const value of row) highest = Math.max(highest, value);
  return { live, values, highest, byLoad };
}

export function redrawHeat() {
  if (!experts || experts.layers.length === 0) return;
  const canvas = byId('heat-canvas');
  const width = canvas.clientWidth;
  const rows = experts.layers.length;
  const columns = experts.units_per_layer;
  const cellWidth = (width - LEFT) / columns;
  const cellHeight = Math.max(5, Math.min(24, Math.floor(420 / rows), Math.max(8, cellWidth)));
  geometry = { cellWidth, cellHeight, rows, columns };
  const context = sizeCanvas(canvas, width, rows * cellHeight + TOP);
  const [low, high, bad, ink] = ['c-low', 'c-high', 'c-bad', 'c-ink'].map(colourOf);
  const { live, values, highest, byLoad } = levels();
  const gap = cellWidth > 6 && cellHeight > 6 ? 1 : 0;
  context.font = '11px system-ui, sans-serif';
  context.textAlign = 'right';
  context.textBaseline = 'middle';
  const labelEvery = Math.ceil(14 / cellHeight);
  for (let layer = 0; layer < rows; layer += 1) {
    const y = TOP + layer * cellHeight;
    if (layer % labelEvery === 0) {
      context.fillStyle = rgb(ink);
      context.fillText(experts.layers[layer], LEFT - 8, y + cellHeight / 2 + 0.5);
    }
    for (let unit = 0; unit < columns; unit += 1) {
      const value = highest > 0 ? values[layer][unit] / highest : 0;
      context.fillStyle = live[layer][unit] === 0 ? rgb(bad) : rgb(mix(low, high, byLoad ? Math.sqrt(value) : value));
      context.fillRect(LEFT + unit * cellWidth, y, cellWidth - gap, cellHeight - gap);
    }
  }
  if (chosen && chosen.layer < rows && chosen.unit < columns) {
    context.strokeStyle = rgb(ink);
    context.lineWidth = 2;
    context.strokeRect(LEFT + chosen.unit * cellWidth - 1, TOP + chosen.layer * cellHeight - 1, Math.max(4, cellWidth - gap) + 2, cellHeight - gap + 2);
  }
  const uncovered = live.flat().filter((n) => n === 0).length;
  setText('heat-note', [
    `${rows} layers × ${columns} ${experts.unit_size === 1 ? 'experts' : `units of ${experts.unit_size} experts`}`,
    byLoad ? (highest > 0 ? `up to ${number(highest)} rows/s` : 'no traffic in the last minute') : `up to ${highest} live replicas`,
    uncovered > 0 ? `${uncovered} without a live shard, in red` : 'every one on a live shard',
  ].join(' · '));
}

function showTable() {
  const all = [];
  experts.rows_per_s.forEach((row, layer) => row.forEach((rate, unit) => all.push({ layer, unit, rate })));
  all.sort((a, b) => b.rate - a.rate);
  reconcile(byId('heat-table'), all.slice(0, 10), (cell) => `${cell.layer}/${cell.unit}`,
    () => el('tr', {}, el('td'), el('td'), el('td', { class: 'num' }), el('td')),
    (row, cell) => {
      setText(row.children[0], String(experts.layers[cell.layer]));
      setText(row.children[1], nameOf(cell.unit).replace(/^experts? /, ''));
      setText(row.children[2], number(cell.rate));
      setText(row.children[3], holderWords(experts.holders[cell.layer][cell.unit]).replace(/^on /, ''));
    });
}

export function showExperts(answer, cluster) {
  experts = { ...answer, experts_per_layer: cluster.topology?.experts_per_layer ?? answer.units_per_layer * answer.unit_size };
  shards = new Map(cluster.shards.map((shard) => [shard.placed.shard_id, shard]));
  // Another model, or none yet, may have fewer layers and units.
  if (chosen && (chosen.layer >= experts.layers.length || chosen.unit >= experts.units_per_layer)) choose(null);
  redrawHeat();
  showTable();
  if (chosen) setText('heat-readout', describe(chosen));
}

function cellAt(event) {
  const x = Math.floor((event.offsetX - LEFT) / geometry.cellWidth);
  const y = Math.floor((event.offsetY - TOP) / geometry.cellHeight);
  return x >= 0 && x < geometry.columns && y >= 0 && y < geometry.rows ? { layer: y, unit: x } : null;
}

function choose(cell, tip) {
  chosen = cell;
  redrawHeat();
  const box = byId('heat-tip');
  box.hidden = !cell || !tip;
  if (!cell) return;
  setText('heat-readout', describe(cell));
  if (!tip) return;
  setText(box, describe(cell));
  const holder = byId('heat');
  box.style.left = `${Math.min(tip.offsetX + 12, Math.max(0, holder.clientWidth - box.offsetWidth - 4))}px`;
  box.style.top = `${tip.offsetY + 18}px`;
}

export function startHeat() {
  const canvas = byId('heat-canvas');
  canvas.addEventListener('pointermove', (event) => geometry && choose(cellAt(event), event));
  canvas.addEventListener('pointerleave', () => { byId('heat-tip').hidden = true; });
  canvas.addEventListener('focus', () => geometry && !chosen && choose({ layer: 0, unit: 0 }));
  canvas.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step || !geometry) return;
    event.preventDefault();
    const from = chosen ?? { layer: 0, unit: 0 };
    choose({
      layer: Math.max(0, Math.min(geometry.rows - 1, from.layer + step[0])),
      unit: Math.max(0, Math.min(geometry.columns - 1, from.unit + step[1])),
    });
  });
  for (const radio of document.querySelectorAll('input[name=heat]')) radio.addEventListener('change', redrawHeat);
  new ResizeObserver(redrawHeat).observe(byId('heat'));
}
