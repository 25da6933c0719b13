// Small helpers around the document. All text goes in as text, never as HTML.

export const byId = (id) => document.getElementById(id);

/** Makes an element: el('li', {class: 'x', title: 'y'}, 'text', child). */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

/** Sets the text of an element, if it is another one: what stands still is not read out again. */
export function setText(id, text) {
  const element = typeof id === 'string' ? byId(id) : id;
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Keeps the children of `parent` in step with `items`: `make(item)` builds a new child,
 * `update(child, item)` refreshes one that has the same key. Elements that stay keep their focus.
 * Of items with one key, only the first keeps its element.
 */
export function reconcile(parent, items, key, make, update) {
  const children = [...parent.children];
  const old = new Map(children.map((child) => [child.dataset.key, child]));
  const shown = new Set();
  let before = null;
  for (const item of items) {
    const id = String(key(item));
    let child = old.get(id);
    old.delete(id);
    if (!child) {
      child = make(item);
      child.dataset.key = id;
    }
    update(child, item);
    const place = before ? before.nextSibling : parent.firstChild;
    if (place !== child) parent.insertBefore(child, place);
    before = child;
    shown.add(child);
  }
  for (const child of children) if (!shown.has(child)) child.remove();
}

/** The colour that a probe element has under the present theme, as [r, g, b]. */
export function colourOf(id) {
  return getComputedStyle(byId(id)).color.match(/[\d.]+/g).slice(0, 3).map(Number);
}

export const rgb = ([r, g, b]) => `rgb(${r | 0} ${g | 0} ${b | 0})`;
export const mix = (a, b, t) => a.map((v, i) => v + (b[i] - v) * t);

/** Sizes a canvas to `width` × `height` CSS pixels on any screen; returns its context. */
export function sizeCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
