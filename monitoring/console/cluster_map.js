// Routers, nodes and shards.

import { byId, el, reconcile, setText } from './dom.js';
import { bytes, number, plural } from './format.js';

export const STATE_WORDS = {
  SERVING: 'serving', IDLE: 'idle', LOADING: 'loading', SUSPECT: 'lost from sight', EVACUATING: 'handing over',
  EVACUATED: 'emptied', DRAINING: 'draining', EXPIRED: 'gone',
};

const bar = (label) => el('span', { class: 'meter small', role: 'img', 'aria-label': label }, el('i'));

function setBar(meter, ratio, label) {
  meter.firstChild.style.width = `${Math.max(0, Math.min(100, 100 * ratio))}%`;
  meter.setAttribute('aria-label', label);
}

function makeShard() {
  return el('li', { class: 'shard' },
    el('span', { class: 'shard-head' }, el('b', { class: 'shard-name' }), el('span', { class: 'state' })),
    el('span', { class: 'line' }, el('span', { class: 'what' }, 'busy'), bar(''), el('span', { class: 'value busy-value' })),
    el('span', { class: 'line' }, el('span', { class: 'what' }, 'memory'), bar(''), el('span', { class: 'value memory-value' })),
    el('span', { class: 'note detail' }));
}

function updateShard(item, shard) {
  const [busyBar, memoryBar] = item.querySelectorAll('.meter');
  const memory = Number(shard.held_bytes) / Math.max(1, Number(shard.memory_bytes));
  item.dataset.state = shard.state;
  setText(item.querySelector('.shard-name'), shard.placed.shard);
  setText(item.querySelector('.state'), STATE_WORDS[shard.state] ?? shard.state.toLowerCase());
  setBar(busyBar, shard.busy_ratio, `busy ${Math.round(100 * shard.busy_ratio)} %`);
  setText(item.querySelector('.busy-value'), `${Math.round(100 * shard.busy_ratio)} %`);
  setBar(memoryBar, memory, `memory ${Math.round(100 * memory)} %`);
  setText(item.querySelector('.memory-value'), bytes(shard.held_bytes));
  const units = shard.held_units === shard.assigned_units
    ? plural(shard.held_units, 'unit') : `${shard.held_units} of ${plural(shard.assigned_units, 'unit')}`;
  setText(item.querySelector('.detail'), shard.problem || `${units} · ${number(shard.rows_per_s)} rows/s`);
  item.title = `${shard.placed.shard} at ${shard.placed.address}${shard.device_kind ? `, ${shard.device_kind}` : ''}${shard.price_class ? `, ${shard.price_class}` : ''}`;
}

function makeRouter() {
  return el('li', { class: 'router' }, el('b'), el('span', { class: 'note' }));
}

function updateRouter(item, router) {
  const load = router.load ?? {};
  setText(item.firstChild, router.router);
  const words = [`${load.running ?? 0} running`, `${load.waiting ?? 0} waiting`];
  if (load.kv_usage > 0) words.push(`KV ${Math.round(100 * load.kv_usage)} % full`);
  if (router.registration?.http_address) words.push(router.registration.http_address);
  setText(item.lastChild, words.join(' · '));
}

export function showCluster(cluster) {
  reconcile(byId('routers'), cluster.routers, (router) => router.router, makeRouter, updateRouter);
  byId('routers').dataset.empty = cluster.routers.length === 0 ? 'No router is connected.' : '';
  const nodes = new Map();
  for (const shard of cluster.shards) {
    const name = shard.placed.node || shard.placed.shard;
    if (!nodes.has(name)) nodes.set(name, { name, zone: shard.placed.zone, shards: [] });
    nodes.get(name).shards.push(shard);
  }
  const inOrder = [...nodes.values()].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  reconcile(byId('nodes'), inOrder, (node) => node.name,
    () => el('section', { class: 'node' }, el('h4'), el('ul', { class: 'shards' })),
    (item, node) => {
      setText(item.firstChild, node.zone ? `${node.name} · ${node.zone}` : node.name);
      reconcile(item.lastChild, node.shards, (shard) => shard.placed.shard, makeShard, updateShard);
    });
  const live = cluster.shards.filter((shard) => !['SUSPECT', 'EXPIRED'].includes(shard.state)).length;
  const words = [`${plural(live, 'live shard')} on ${plural(nodes.size, 'node')}`];
  words.push(cluster.units_uncovered > 0
    ? `${plural(cluster.units_uncovered, 'unit')} without a live replica`
    : `all ${plural(cluster.units_total, 'unit')} covered`);
  if (cluster.moves_in_flight > 0) words.push(`${plural(cluster.moves_in_flight, 'move')} in flight`);
  if (cluster.summary.imbalance > 0) words.push(`busiest shard ${cluster.summary.imbalance.toFixed(2)} × the mean`);
  setText('map-note', words.join(' · '));
}
