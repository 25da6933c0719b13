// What happened lately, newest first.

import { byId, el, reconcile, setText } from './dom.js';
import { ago } from './format.js';

const KINDS = {
  EVENT_KIND_DECISION: ['decision', 'decided'], EVENT_KIND_CHANGE: ['change', 'change'],
  EVENT_KIND_TROUBLE: ['trouble', 'trouble'], EVENT_KIND_RECOVERY: ['recovery', 'recovered'],
};
const SHOWN = 60;

/** The same event has another age with each answer: it is known by its text and its time. */
const keyOf = (event) => `${Math.round((Date.now() / 1000 - event.age_s) / 3)}|${event.text}`;
let known = [];

/** Keys that survive a second's rounding: the one used before, if there is one for nearly the same time. */
function stableKey(event) {
  const at = Date.now() / 1000 - event.age_s;
  const before = known.find((entry) => entry.text === event.text && Math.abs(entry.at - at) < 2);
  return before ?? { text: event.text, at, key: keyOf(event) };
}

export function showEvents(events) {
  const latest = events.slice(-SHOWN).reverse().map((event) => ({ event, entry: stableKey(event) }));
  known = latest.map(({ entry }) => entry);
  reconcile(byId('events'), latest, ({ entry }) => entry.key,
    () => el('li', {}, el('span', { class: 'event-kind' }), el('span', { class: 'event-text' }), el('time')),
    (item, { event }) => {
      const [kind, word] = KINDS[event.kind] ?? ['change', ''];
      item.dataset.kind = kind;
      setText(item.children[0], word);
      setText(item.children[1], event.text);
      setText(item.children[2], ago(event.age_s));
    });
  byId('events').dataset.empty = latest.length === 0 ? 'Nothing yet.' : '';
}
