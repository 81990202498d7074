// TokenCost: one row a text, one bar a tokenizer; the chosen text is drawn token by token.
function picture(ctx) {
  const h1 = h("h4"), chart = h("div"), left = h("div", {style: {flex: "none", "max-width": "100%"}}, h1, chart), h2 = h("h4"), strips = h("div"), key = tintKey(), right = h("div", {style: {flex: 1, "min-width": 0}}, h2, strips, key);
  const el = h("div", {class: "cols"}, left, right), pen = document.createElement("canvas").getContext("2d");
  const hatching = "none" + Math.random().toString(36).slice(2); // ids are the page's, not the widget's
  let v = null, rows = null, at = 0;
  const tone = i => `n${i + 1}`, fill = i => `var(--m${i + 1})`, yours = c => c.name === "yours";

  function layout() {
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), wide = full > 1000, W = wide && !P ? Math.min(full * .62, 740) : full;
    const n = v.columns.length, tight = full < (P ? 900 : 560), note = P ? 28 : 13, wd = (t, px, bold) => { pen.font = `${bold ? 700 : 400} ${px}px ${getComputedStyle(ctx.root).fontFamily}`; return pen.measureText(t).width; };
    const most = Math.max(40, W * .7 / n - 30 * S), names = v.columns.map(name => { let t = tight ? "" : name; // the readout names the shapes
      while (wd(t, note, true) > most && t.length > 4) t = t.slice(0, -2) + "…"; return t; });
    const cols = names.map((t, i) => Math.max(wd(t, note, true) + 20 * S, ...v.costs.map(c => wd(c.shown[i], P ? 30 : 15))) + (tight ? 8 : 14) * S);
    const label = Math.max(...v.costs.map(c => wd(c.name, P ? 30 : 15, true))) + 18 * S, numbers = cols.reduce((a, b) => a + b, 0);
    const bar = P ? [26, 15, 10, 8][n - 1] : [20, 13, 10, 9][n - 1], row = Math.max(n * (bar + 1) + (P ? 12 : 12), P ? 44 : 30);
    return {P, S, W, wide, names, cols, label, bar, row, head: P ? 44 : 26, plot: Math.max(40, W - label - numbers - 14 * S)};
  }
  function line_(c, k, L, top) {
    const y = L.head + k * L.row, mid = y + L.row / 2, high = v.columns.length * (L.bar + 1) - 1, numbers = v.against ? c.ratios : c.values;
    const g = s("g", {role: "option", "aria-label": c.said, "aria-selected": k === at, tabindex: k === at ? 0 : -1, class: "row", ...KEYS, onclick: () => go(k), onfocus: () => pick(k)});
    g.append(rect(0, y + 1, L.W, L.row - 2, k === v.chosen ? "var(--t1)" : "transparent", {class: "hit", rx: 4}));
    if (c.name === "digits") g.append(line(0, y, L.W, y, "var(--line)"));
    if (yours(c)) g.append(rect(0, mid - 13 * L.S, L.label - 8 * L.S, 26 * L.S, "var(--you)", {rx: 4, stroke: "#212121", "stroke-dasharray": "4 3", "stroke-width": 1.5}));
    g.append(text(L.label - 14 * L.S, mid + 5 * L.S, c.name, {"text-anchor": "end", class: k === v.chosen || yours(c) ? "b" : "big", ...(yours(c) ? {style: "fill:#212121"} : {})}));
    numbers.forEach((x, i) => { const b = mid - high / 2 + i * (L.bar + 1), w = x === null ? 0 : L.plot * x / top;
      if (x === null) { if (!i) g.append(rect(L.label, mid - high / 2, 26 * L.S, high, `url(#${hatching})`)); return; }
      g.append(rect(L.label, b, w, L.bar, fill(i), {class: "eased"}));
      if (w > 22 * L.S && L.bar >= 6) g.append(shape(i, L.label + 9 * L.S, b + L.bar / 2, Math.min(3.4 * L.S, L.bar * .36), "var(--paper)")); });
    let x = L.label + L.plot + 14 * L.S;
    c.shown.forEach((t, i) => { x += L.cols[i]; g.append(text(x, mid + 5 * L.S, t, {"text-anchor": "end", class: `big ${tone(i)}`, "data-text": c.name, "data-column": v.columns[i], "data-value": numbers[i] === null ? "" : numbers[i]})); });
    return g;
  }
  function draw(view) {
    const held = chart.contains(document.activeElement), cut = strips.contains(document.activeElement);
    v = view; at = Math.min(at, v.costs.length - 1);
    if (!held) at = v.chosen;
    const L = layout(), top = Math.max(1e-9, ...v.costs.flatMap(c => (v.against ? c.ratios : c.values).map(x => x === null ? 0 : x))), height = L.head + L.row * v.costs.length;
    h1.textContent = v.heading;
    const head = []; let x = L.label + L.plot + 14 * L.S;
    L.names.forEach((name, i) => { x += L.cols[i]; pen.font = `700 ${L.P ? 28 : 13}px ${getComputedStyle(ctx.root).fontFamily}`;
      head.push(shape(i, x - pen.measureText(name).width - 11 * L.S, L.head - 13 * L.S, 5.2 * L.S, fill(i)), text(x, L.head - 8 * L.S, name, {"text-anchor": "end", class: `bold ${tone(i)}`})); });
    const hatch = s("defs", {}, s("pattern", {id: hatching, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"}, rect(0, 0, 6, 6, "var(--paper)"), line(0, 0, 0, 6, "var(--edge)", 1.5)));
    const one = v.against && top ? [line(L.label + L.plot / top, L.head - 4, L.label + L.plot / top, height, "var(--ink)", 2 * L.S), text(L.label + L.plot / top, L.head - 8 * L.S, "1×", {"text-anchor": "middle", class: "s"})] : [];
    chart.replaceChildren(s("svg", {width: L.W, height, role: "listbox", "aria-label": "cost of each text"}, hatch, head, v.costs.map((c, k) => line_(c, k, L, top)), line(L.label, L.head - 4, L.label, height, "var(--ink)", 1.25 * L.S), one));
    (L.wide ? el : ctx.after).append(right); right.hidden = L.P;
    const c = v.costs[v.chosen];
    h2.textContent = `How it is cut: ${c.name}`;
    rows = tokenRows(v.cuts.map(q => ({name: q.name, tokens: q.texts.map((t, k) => ({text: t, bytes: q.sizes[k], start: q.starts[k], end: q.ends[k], part: q.parts[k], said: `${t}, ${q.sizes[k]} byte${q.sizes[k] === 1 ? "" : "s"}`}))})), {at: rows ? rows.at() : [0, 0]});
    strips.replaceChildren(...v.cuts.map((q, i) => { const box = rows.els[i]; box.style.cssText = "display:flex;flex-wrap:wrap;padding:2px;max-height:122px;overflow:auto";
      if (q.more > 0) box.append(h("span", {class: "tok gap"}, `… ${q.more.toLocaleString("en-US")} more`));
      return h("div", {style: {"margin-bottom": "10px"}}, h("div", {class: "cap", style: {"margin-bottom": "2px"}}, mark(i), q.name), box); }));
    if (held) items()[at].focus(); else if (cut) rows.focus();
  }
  const items = () => [...chart.querySelectorAll("[role=option]")];
  function pick(k) { at = k; if (v.chosen !== k) ctx.set("chosen", v.costs[k].name); }
  function go(k) { at = k; items().forEach((g, i) => g.setAttribute("tabindex", i === k ? 0 : -1)); items()[k].focus(); }
  return {el, draw, keys: [["↑ ↓", "walk the texts"], ["← →", "walk the tokens"]], key(e) {
    if (strips.contains(e.target)) return rows.key(e);
    if (!chart.contains(e.target)) return false;
    const to = step({key: {ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft"}[e.key] || e.key}, at, 0, v.costs.length - 1);
    if (to === undefined) return false;
    go(to);
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
