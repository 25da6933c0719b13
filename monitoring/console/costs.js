// Whose cost it is.

import { byId, el, reconcile, setText } from './dom.js';
import { count, money, span } from './format.js';

function makeRow() {
  return el('tr', {}, el('th', { scope: 'row' }), el('td', { class: 'num' }), el('td', { class: 'num' }),
    el('td', { class: 'num' }, el('span', { class: 'meter small', 'aria-hidden': 'true' }, el('i')), el('span', { class: 'share' })),
    el('td', { class: 'num' }));
}

export function showCosts(summary) {
  const priced = summary.currency !== '';
  const weight = (tenant) => (priced ? tenant.cost : Number(tenant.generated_tokens) + Number(tenant.prompt_tokens));
  const all = summary.tenants.reduce((sum, tenant) => sum + weight(tenant), 0);
  reconcile(byId('tenants'), summary.tenants, (tenant) => tenant.tenant, makeRow, (row, tenant) => {
    const share = all > 0 ? weight(tenant) / all : 0;
    setText(row.children[0], tenant.tenant);
    setText(row.children[1], count(tenant.prompt_tokens));
    setText(row.children[2], count(tenant.generated_tokens));
    row.children[3].firstChild.firstChild.style.width = `${100 * share}%`;
    setText(row.children[3].lastChild, `${Math.round(100 * share)} %`);
    setText(row.children[4], priced && tenant.cost_per_million_tokens > 0
      ? `${money(tenant.cost_per_million_tokens, summary.currency)}${tenant.unpriced ? ' +' : ''}` : 'unknown');
  });
  const over = span(summary.tenants_window_s);
  setText('tenants-note', summary.tenants.length === 0
    ? `No request ended in the last ${over}.`
    : `The last ${over}, idle time shared out${priced ? '' : '. Without a price list: shares of the tokens'}.`);
}
