// cells({values, label, rows, cols, corner, low, high, tint, show, w, at, onselect, turn}): a small matrix of numbers, one Tab stop. values: rows of numbers, null is masked (hatched);
// rows, cols: labels; low, high: the ends of Cividis, else the values' own; tint: false leaves paper; show(x, i, j): the text; w: px a cell; at: [i, j], chosen at first; onselect(i, j) follows click and key; turn: column labels stand upright.
// Returns {el, items, select(i, j, focus), mark(test)}: items[i][j] is an element with data-x, mark(test(i, j)) outlines cells that belong to a choice made elsewhere. Height and type follow the projector by CSS, w is the caller's.
function cells({values, label, rows, cols, corner = "", low, high, tint = true, show = x => num(x), w = 56, at = null, onselect, turn}) {
  const known = values.flat().filter(x => x !== null && Number.isFinite(x)), bottom = low ?? Math.min(...known), top = high ?? Math.max(...known);
  const share = x => Math.min(1, Math.max(0, (x - bottom) / (top - bottom || 1))), n = values.length, m = n ? values[0].length : 0;
  let [row, column] = at || [0, 0];
  const cap = (t, bold, more) => h("div", {class: "cap mono", "aria-hidden": "true", style: {padding: "0 calc(2*var(--u))", "align-self": "center", overflow: "hidden", "text-overflow": "ellipsis", color: bold ? "var(--ink)" : "var(--ink-2)", ...more}}, t);
  const cell = (x, i, j) => {
    const off = x === null, t = share(x), said = off ? "masked" : show(x, i, j);
    return h("div", {role: "gridcell", class: "lm-cell", tabindex: -1, ...KEYS, "data-x": off ? undefined : x, "aria-label": [rows && rows[i], cols && cols[j], said].filter(y => y !== undefined && y !== "").join(", "),
      onclick: () => choose(i, j), style: {"min-height": "var(--ctl)", display: "flex", "align-items": "center", "justify-content": "center", cursor: "default", position: "relative", "white-space": "nowrap",
        background: off ? "repeating-linear-gradient(45deg, var(--line) 0 1.5px, transparent 1.5px 6px)" : tint ? cividis(t) : "var(--t1)", color: tint && !off ? onCividis(t) : "var(--ink)"}}, off ? "" : said);
  };
  const items = values.map((line, i) => line.map((x, j) => cell(x, i, j)));
  const el = h("div", {role: "grid", "aria-label": label, style: {display: "grid", "grid-template-columns": `${rows ? "max-content " : ""}repeat(${m}, minmax(0, ${w}px))`, gap: "1px", width: "fit-content", "max-width": "100%", "font-size": "var(--note)"}});
  if (cols) el.append(rows ? cap(corner) : "", ...cols.map(t => cap(t, 0, turn ? {"writing-mode": "vertical-rl", transform: "rotate(180deg)", "justify-self": "center", "align-self": "end", padding: "var(--u) 0"} : {"text-align": "center", padding: "0 0 var(--u)"})));
  items.forEach((line, i) => el.append(h("div", {role: "row", style: {display: "contents"}}, rows ? cap(rows[i], 0, {"text-align": "right", "padding-left": 0}) : null, line)));
  const ring = (it, here, belongs) => { it.style.boxShadow = here ? "0 0 0 2px var(--paper), 0 0 0 calc(2px + var(--stroke)) var(--ink)" : belongs ? "inset 0 0 0 2px var(--ink), inset 0 0 0 4px var(--paper)" : "none"; it.style.zIndex = here ? 1 : 0; };
  let marked = () => false;
  const paint = () => items.forEach((line, i) => line.forEach((it, j) => { const here = at && i === row && j === column; it.tabIndex = i === row && j === column ? 0 : -1;
    it.setAttribute("aria-selected", !!here); it.style.fontWeight = here ? 700 : 400; ring(it, here, marked(i, j)); }));
  function select(i, j, focus) { row = Math.max(0, Math.min(n - 1, i)); column = Math.max(0, Math.min(m - 1, j)); at = [row, column]; paint(); if (focus) items[row][column].focus({preventScroll: true}); }
  function choose(i, j) { select(i, j, true); if (onselect) onselect(row, column); }
  el.addEventListener("keydown", e => {
    const to = {ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1], ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], Home: [row, 0], End: [row, m - 1], PageUp: [0, column], PageDown: [n - 1, column]}[e.key];
    if (!to || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault(); e.stopPropagation(); choose(...to);
  });
  paint();
  return {el, items, select, mark(test) { marked = test; paint(); }};
}
