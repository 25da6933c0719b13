// Numbers and times as people read them.

/** 0.42, 8.3, 412, 12,300. */
export function number(value) {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  if (value < 1) return value.toFixed(2);
  if (value < 10) return value.toFixed(1);
  const step = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 2);
  return (Math.round(value / step) * step).toLocaleString('en');
}

/** A count in full: 1,234,567. */
export const count = (value) => Number(value).toLocaleString('en');

/** 0.8 ms, 42 ms, 1.3 s; a dash for 0, which stands for "none". */
export function milliseconds(ms) {
  if (!(ms > 0)) return '–';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
}

export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let index = 0;
  let left = Number(value);
  while (left >= 1024 && index < units.length - 1) {
    left /= 1024;
    index += 1;
  }
  return `${left < 10 && index > 0 ? left.toFixed(1) : Math.round(left)} ${units[index]}`;
}

export function money(value, currency) {
  const digits = value >= 100 ? 0 : value >= 0.01 || value === 0 ? 2 : 4;
  try {
    return new Intl.NumberFormat('en', {
      style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits,
    }).format(value);
  } catch {
    return `${value.toFixed(digits)} ${currency}`;
  }
}

/** just now, 12 s ago, 3 min ago, 2 h ago. */
export function ago(seconds) {
  if (seconds < 2) return 'just now';
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

export function span(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} seconds`;
  return `${Math.round(seconds / 60)} minutes`;
}

export const plural = (n, word) => `${count(n)} ${word}${Number(n) === 1 ? '' : 's'}`;
