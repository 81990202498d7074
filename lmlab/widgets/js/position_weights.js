// PositionWeights: one column a place; the rare word is a chip that can be dragged, three rows say what each place counts.
function picture(ctx) {
  const main = h("div", {style: {flex: "none", "max-width": "100%"}}), aside = h("div", {style: {flex: 1, "min-width": 0}}), el = h("div", {class: "cols"}, main, aside);
  const stage = h("div", {role: "group", "aria-label": "the sentence: arrow keys move the rare word", tabindex: 0, ...KEYS}, el);
  let v = null;
  const go = place => { const to = Math.max(1, Math.min(8, place)); if (to !== ctx.get("place")) ctx.set("place", to); };

  function chip(x, y, w, high, word, S, mine, most) {
    if (mine) { const need = Math.max(w - 4, [...word].length * 8.5 * S + 10 * S); x = Math.max(0, Math.min(most - need, x + w / 2 - need / 2)); w = need; } // a long word stands over its neighbors' margins
    const g = s("g", mine ? {class: "grip", style: "cursor:grab;touch-action:none"} : {});
    g.append(mine ? rect(x, y, w, high, "var(--you)", {rx: 4, stroke: "#212121", "stroke-width": 1.5 * S, "stroke-dasharray": `${4 * S} ${3 * S}`}) : line(x + 4, y + high, x + w - 4, y + high, "var(--edge)", 2 * S),
      text(x + w / 2, y + high * .66, word, {"text-anchor": "middle", class: "mono" + (mine ? " bold" : ""), style: `font-size:${14 * S}px` + (mine ? ";fill:#212121" : "")}));
    return g;
  }

  function draw(view) {
    v = view;
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), narrow = full < (P ? 1000 : 720), wide = !P && full > 1030;
    const W = wide ? Math.min(800, full - 384) : full, left = narrow ? 4 : (P ? 320 : 172), end = (narrow ? 0 : 104) * (P ? 1.7 : 1), col = (W - left - end) / 8, head = narrow ? 30 * S : 0;
    const top = (P ? 70 : 44), rise = P ? (narrow ? 56 : 70) : 64, row = rise + head + (P ? 42 : 40), parts = [], H = top + 3 * row + (P ? 8 : 22);
    const X = i => left + i * col, now = v.place;
    parts.push(rect(X(now), 0, col, H - (P ? 0 : 18), "var(--t1)", {rx: 4}));
    parts.push(s("rect", {x: X(v.never) + 1, y: 1, width: col - 2, height: H - (P ? 2 : 20), fill: "none", stroke: "var(--edge)", "stroke-width": S, "stroke-dasharray": `${2 * S} ${4 * S}`, rx: 4}));
    if (!P) parts.push(text(Math.max(left + 96, Math.min(W - end - 96, X(v.never) + col / 2)), H - 3, `${v.tokens[now]}: never here in training`, {"text-anchor": "middle", class: "s"}));
    v.tokens.slice(0, 8).forEach((word, i) => parts.push(i === now ? "" : chip(X(i), 4 * S, col, 30 * S, word, S)));
    if (!narrow) parts.push(text(W - end + 14 * S, 4 * S + 20 * S, "? says", {class: "bold", style: `font-size:${14 * S}px`}));
    v.rows.forEach((r, k) => {
      const base = top + k * row + head + rise + (P ? 40 : 24), best = r.weights.indexOf(Math.max(...r.weights)), tone = `n${k + 1}`, ly = narrow ? base - rise - 28 * S : base - rise / 2;
      parts.push(line(left, base, W - end, base, "var(--ink)", 1.25 * S), shape(k, 6 * S + (narrow ? 2 : 0), ly - 4.5 * S, 5.5 * S, `var(--m${k + 1})`),
        text(18 * S + (narrow ? 4 : 0), ly, r.name, {class: `bold ${tone}`}));
      if (narrow) parts.push(text(W - 4, ly, `says ${r.says}, ${r.sure}`, {"text-anchor": "end", class: tone + (r.right ? "" : " bold")}));
      else { parts.push(text(P ? 0 : 18, ly + 20 * S, r.note, {class: "s"}), text(W - end + 14 * S, base - rise / 2, r.says, {class: "mono bold " + tone, style: `font-size:${(P ? 28 : 14)}px`}), text(W - end + 14 * S, base - rise / 2 + 20 * S, r.right ? r.sure : `${r.sure} ✕`, {class: "s"})); }
      r.weights.forEach((p, i) => { const high = Math.max(1, p * rise); parts.push(rect(X(i) + col * .2, base - high, col * .6, high, `var(--m${k + 1})`, {class: "eased", "data-row": r.name, "data-place": i, "data-p": p}),
        text(X(i) + col / 2, base - high - 6 * S, narrow || P ? (p < .005 ? "0" : Math.round(100 * p)) : p < .001 ? "0" : r.shown[i], {"text-anchor": "middle", class: i === best ? `bold ${tone}` : "s"})); });
    });
    const rare = chip(X(now), 4 * S, col, 30 * S, v.tokens[now], S, true, narrow ? W : W - end + 8 * S), svg = s("svg", {width: W, height: H, role: "img", "aria-label": v.question}, parts, rare);
    rare.addEventListener("pointerdown", e => { const x0 = svg.getBoundingClientRect().left, move = m => go(1 + Math.floor((m.clientX - x0 - left) / col)),
      up = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", up); }; addEventListener("pointermove", move); addEventListener("pointerup", up); e.preventDefault(); stage.focus({preventScroll: true}); });
    main.replaceChildren(h("h4", {}, "What each place counts for the answer ", h("span", {}, P ? "%" : narrow ? "percent" : "percent; drag the yellow word")), svg);
    const [first, ...rest] = v.measured;
    const top2 = {"white-space": "normal", "vertical-align": "bottom", "padding-left": "calc(2*var(--u))", width: "24%"}, bold = k => ({"font-weight": 700, color: `var(--m${k + 1}-text)`});
    aside.replaceChildren(h("h4", {}, first[0]), h("table", {}, h("thead", {}, h("tr", {}, h("th"), first.slice(1).map(what => h("th", {style: top2}, what)))),
      h("tbody", {}, rest.map((line, k) => h("tr", {}, h("td", {style: bold(k)}, mark(k), line[0]), line.slice(1).map(n => h("td", {style: bold(k)}, n)))))));
    (wide ? el : ctx.after).append(aside); aside.hidden = P;
  }
  const words = () => [...ctx.input("word").box.querySelectorAll("option")].map(o => o.value);
  return {el: stage, draw, keys: [["← →", "move the word"], ["Home End", "to the ends"], ["↑ ↓", "another word"]], key(e) {
    if (e.key === "ArrowUp" || e.key === "ArrowDown") { const all = words(), i = all.indexOf(ctx.get("word")) + (e.key === "ArrowDown" ? 1 : -1); ctx.set("word", all[(i + all.length) % all.length]); return true; }
    const to = step(e, ctx.get("place"), 1, 8);
    if (to === undefined) return false;
    go(to); return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
