// ComputeReuse: tokens that are kept or computed, what moved inside, and the cost of writing as two triangles.
function picture(ctx) {
  const strip = h("div"), h1 = h("h4"), h2 = h("h4", {style: {"margin-top": "calc(5*var(--u))"}}), inside = h("div"), cost = h("div"), h3 = h("h4");
  const main = h("div", {style: {flex: 1, "min-width": 0}}, h1, strip, h2, inside), aside = h("div", {style: {flex: "none", "max-width": "100%"}}, h3, cost), el = h("div", {class: "cols"}, main, aside);
  let v = null;
  h3.after(ctx.input("T").box); ctx.input("T").box.style.marginBottom = "calc(3*var(--u))";
  const swatch = (color, label) => h("span", {style: {"white-space": "nowrap", "font-weight": 400}}, h("i", {style: {display: "inline-block", width: "calc(4*var(--u))", height: "calc(2*var(--u))", background: color, margin: "0 calc(1.5*var(--u)) 1px calc(3*var(--u))"}}), label);
  const go = i => ctx.set("place", i);

  // one triangle: row n is the n-th token written, its length the positions read for it
  function triangle(side, T, S, without) {
    const a = Math.max(3, side * T / 1024), x0 = 1, parts = [rect(x0, 1, side, side, "none", {stroke: "var(--line)"}), s("path", {d: `M${x0} 1L${x0 + a} ${1 + a}H${x0}z`, fill: without ? "var(--m2)" : "var(--m3)", "data-T": T})];
    if (!without) parts.push(line(x0, 1, x0 + a, 1 + a, "var(--m2)", 3 * S));
    return s("svg", {width: side + 2, height: side + 2, role: "img", "aria-label": without ? "without a cache, all positions of each step are computed" : "with a cache, one position a step is computed"}, parts);
  }
  const figure = (side, S, without, n) => h("div", {}, triangle(side, v.T, S, without), h("div", {style: {"font-size": "var(--body)", "margin-top": "var(--u)"}}, h("b", {class: "n2"}, n.toLocaleString("en-US")), h("div", {class: "cap"}, without ? "without a cache" : "with a cache")));

  function draw(view) {
    const held = strip.contains(document.activeElement), inCells = inside.contains(document.activeElement);
    v = view;
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), small = P && full < 1000, narrow = full < 720, wide = full > 1030, n = v.tokens.length, bar = ctx.input("place").focus;
    if (+bar.max !== Math.max(1, v.last)) { bar.max = ctx.input("place").spec.max = Math.max(1, v.last); ctx.input("place").show(ctx.get("place")); }
    h1.replaceChildren(narrow ? "The text" : "The text ", h("span", {}, narrow ? "" : "choose a word"), swatch("var(--m3)", `kept ${v.kept}`), swatch("var(--m2)", `computed ${n - v.kept}`));
    const tokens = tokenStrip(v.tokens, {label: "the text: arrow keys choose the word to change", selected: v.place, onselect: go,
      style: i => ({"border-bottom": `calc(1.5*var(--u)) solid var(--${i < v.kept ? "m3" : "m2"})`, "font-size": "var(--body)", "margin-bottom": "calc(2*var(--u))"})});
    tokens.items.forEach((item, i) => { item.dataset.state = i < v.kept ? "kept" : "computed"; });
    strip.replaceChildren(tokens.el);
    if (held) tokens.select(v.place, true);
    const m = v.changed.length ? v.changed[0].length : 0, room = (wide ? full - (P ? 640 : 372) : full) - (P ? 230 : 118), w = Math.min(P ? 150 : 96, Math.floor(room / Math.max(1, m)) - 1), words = w > Math.max(0, ...v.tokens.map(t => [...t].length)) * 8 * S + 6;
    if (small === main.contains(inside)) (small ? ctx.after : main).append(h2, inside); // on a small projector the sentence comes first
    h2.replaceChildren("What moved inside ", h("span", {}, narrow || P ? "" : "each position, from the embedding up"));
    const grid = m ? cells({values: P ? v.changed.filter((_, l) => l === 0 || l === 1 || l === v.changed.length - 1) : v.changed, rows: P ? v.rows.filter((_, l) => l === 0 || l === 1 || l === v.rows.length - 1) : v.rows, cols: words ? v.tokens.slice(0, m) : v.tokens.slice(0, m).map((_, i) => i), label: "how far each position moved, by layer", low: 0, w,
      show: x => w < 30 * S ? "" : x === 0 ? "0" : num(x, 2), at: [0, Math.min(v.place, m - 1)], onselect: (_, t) => ctx.say([["mono", v.tokens[t]], ["", t < v.kept ? ": did not move, since no position sees what comes after it." : `: moved by ${v.changed.map(row => num(row[t], 2)).join(", ")} from the embedding to the top.`]])}) : h("div", {class: "empty"}, "Type a prompt, and change a word of it");
    inside.replaceChildren(grid.el || grid, m && !P ? h("div", {style: {"margin-top": "calc(3*var(--u))"}}, scaleBar(180, ["0", num(Math.max(...v.changed.flat()))], "how far, relative to the old length")) : "");
    if (inCells && grid.select) grid.select(0, Math.min(v.place, m - 1), true);
    h3.replaceChildren(`Writing ${v.T.toLocaleString("en-US")} tokens `, h("span", {}, P ? "" : "positions computed"));
    const side = P ? 250 : wide ? 150 : Math.min(200, full / 2 - 20);
    cost.replaceChildren(h("div", {style: {display: "flex", gap: "calc(6*var(--u))"}}, figure(side, S, true, v.uncached), figure(side, S, false, v.cached)),
      P ? "" : h("div", {class: "cap", style: {"margin-top": "12px", "max-width": side * 2 + 24 + "px"}}, "One row a token written, as long as the text so far. ", "Orange is computed, green is kept."));
    aside.style.marginTop = small ? "calc(5*var(--u))" : 0; (wide ? el : ctx.after).append(aside);
  }
  return {el, draw, keys: [["← →", "another word"], ["Home End", "to the ends"]], key() { return false; }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
