// Openness: a row a deed, a column a door; the readout says what came of the chosen attempt. The other pages list models.
function picture(ctx) {
  const el = h("div"), place = h("div", {style: {"max-width": "100%", "overflow-x": "auto", padding: "4px"}});
  const source = h("div", {class: "cap", style: {"margin-top": "calc(2*var(--u))", "min-height": "1.4em", "overflow-wrap": "anywhere"}});
  let v = null, grid = null, row = 0, lines = [];

  function deeds(P) {
    const narrow = ctx.root.clientWidth < (P ? 1000 : 620), w = P ? 300 : narrow ? 84 : 170, at = ctx.get("at");
    grid = cells({values: v.rows.map(r => r.tints), rows: v.rows.map(r => r.name), cols: v.columns, low: 0, high: 1, w, at, label: "what came of each deed, by access",
      show: (x, i, j) => narrow ? v.rows[i].shown[j].replace(/^.* → /, "→ ") : v.rows[i].shown[j], onselect: (i, j) => ctx.set("at", [i, j])});
    grid.items.forEach((line, i) => line.forEach((cell, j) => {
      cell.dataset.deed = v.rows[i].name; cell.dataset.access = v.columns[j];
      if (P) cell.style.minHeight = "calc(.78*var(--ctl))"; // nine rows on a projector
      if (v.rows[i].tints[j] === null) cell.setAttribute("aria-label", `${v.rows[i].name}, ${v.columns[j]}, not tried yet`);
    }));
    place.replaceChildren(grid.el);
    el.replaceChildren(place, P ? "" : h("div", {class: "cap", style: {margin: "calc(2*var(--u)) 0 0"}}, "bright: done · between: estimated · dark, ✕: refused · hatched: not tried yet"));
  }

  // one Tab stop; arrows walk the models, and the source of the chosen one stands beneath
  function models(P) {
    const body = h("tbody");
    lines = v.models.map((m, i) => h("tr", {tabindex: i === row ? 0 : -1, ...KEYS, "data-model": m.name, "aria-label": [m.name, ...m.cells].join(", "), onclick: () => walk(i), onfocus: () => mark(i)},
      [m.name, ...m.cells].map((t, k) => h("td", {style: {"text-align": k > 2 ? "right" : "left", "padding-left": "calc(3*var(--u))", "font-weight": k ? 400 : 700, ...(P ? {"padding-top": "var(--u)", "padding-bottom": "var(--u)"} : {})}}, t))));
    body.append(...lines);
    body.addEventListener("keydown", e => {
      const to = step(e, row, 0, lines.length - 1); if (to === undefined || e.ctrlKey || e.metaKey || e.altKey) return;
      const down = {ArrowDown: 1, ArrowUp: -1}[e.key]; // on a list, down is on
      e.preventDefault(); e.stopPropagation(); walk(down ? Math.max(0, Math.min(lines.length - 1, row + down)) : to);
    });
    const table = h("table", {}, h("thead", {}, h("tr", {}, v.head.map((t, k) => h("th", {scope: "col", style: {"text-align": k > 2 ? "right" : "left", "padding-left": "calc(3*var(--u))"}}, t)))), body);
    place.replaceChildren(table); el.replaceChildren(place, source); mark(Math.min(row, lines.length - 1));
  }
  const walk = i => { lines[i].focus({preventScroll: true}); mark(i); };
  function mark(i) {
    if (i < 0) { source.textContent = ""; return; }
    row = i; lines.forEach((l, k) => { l.tabIndex = k === i ? 0 : -1; l.setAttribute("aria-selected", k === i); l.style.boxShadow = k === i ? "inset calc(2*var(--stroke)) 0 0 var(--ink)" : "none"; });
    source.textContent = `${v.models[i].name} · ${v.models[i].source}`;
  }

  function draw(view) {
    const held = place.contains(document.activeElement), other = v && v.page !== view.page;
    v = view; if (other) row = 0;
    if (v.page === "deeds") { deeds(ctx.present()); if (held) { const [i, j] = ctx.get("at"); grid.select(i, j, true); } }
    else { models(ctx.present()); if (held && lines[row]) lines[row].focus({preventScroll: true}); }
  }
  return {el, draw, keys: [["← → ↑ ↓", "another cell, another model"], ["t", "try it"]], key(e) {
    if (e.key !== "t" || !v || v.page !== "deeds") return false;
    ctx.click("one"); return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
