// Runs before the page is drawn, so that a chosen theme does not flash in late.
(() => {
  const root = document.documentElement;
  const stored = (() => {
    try {
      return localStorage.getItem('theme');
    } catch {
      return null; // storage may be forbidden; the system's colours are a good choice then
    }
  })();
  if (stored === 'light' || stored === 'dark') root.dataset.theme = stored;
})();
