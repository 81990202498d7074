// ParameterGrowth: a matrix as a square, its corner a handle; beside it the same counts over T, both axes by powers.
function picture(ctx) {
  const h1 = h("h4"), square = h("div"), h2 = h("h4"), chart = h("div"), left = h("div", {style: {flex: "none", "max-width": "100%"}}, h1, square), right = h("div", {style: {flex: 1, "min-width": 0}}, h2, chart);
  const el = h("div", {class: "cols"}, left, right), stage = h("div", {role: "group", "aria-label": "length of the text: arrow keys change T", tabindex: 0, ...KEYS}, el);
  let v = null;
  const go = T => { const to = Math.max(1, Math.min(v.most, Math.round(T))); if (to !== ctx.get("T")) ctx.set("T", to); };
  const big = n => { if (n < 1e9) return n.toLocaleString("en-US"); const e = Math.floor(Math.log10(n)); return (n / 10 ** e).toFixed(2) + "×10" + power(e); };
  const power = e => String(e).replace(/./g, c => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]);

  function area(W, S) {
    const full = Math.min(W - 20 * S, S > 1 ? 290 : 340), side = n => full * Math.sqrt(n / v.full), a = side(v.flat), half = side(v.half), t = side(v.transformer), top = 12 * S, x0 = 8, H = top + full + 66 * S;
    const parts = [rect(x0, top, full, full, "none", {stroke: "var(--line)"}), text(x0 + full, top + full + 18 * S, `T = ${v.most.toLocaleString("en-US")}`, {"text-anchor": "end", class: "s"}),
      rect(x0, top, Math.max(1, a), Math.max(1, a), "var(--m2)", {"data-weights": v.flat, "data-side": a / full})];
    if (v.half && half > 14) parts.push(s("path", {d: `M${x0 + half} ${top}V${top + half}H${x0}`, fill: "none", stroke: "var(--paper)", "stroke-width": 2 * S, "stroke-dasharray": `${6 * S} ${4 * S}`}),
      ...(half > 78 * S ? [text(x0 + half - 8 * S, top + half - 10 * S, `T = ${(v.T / 2).toLocaleString("en-US")}`, {"text-anchor": "end", style: "fill:#000", class: "bold"})] : []));
    if (a > 130 * S) parts.push(text(x0 + 10 * S, top + a - 14 * S, v.shown.flat, {style: "fill:#000", class: "b"}));
    // the transformer stands under the big square, at the same scale; too small to see, a ring says where it is
    const ty = top + full + 26 * S, tw = Math.max(t, 1.2);
    if (t < 60 * S) parts.push(rect(x0 + 7 * S, ty + 7 * S - Math.min(t, 14 * S) / 2, tw, Math.min(tw, full), "var(--m1)", {"data-weights": v.transformer}),
      t < 8 * S ? s("circle", {cx: x0 + 7 * S + tw / 2, cy: ty + 7 * S, r: 9 * S, fill: "none", stroke: "var(--ink)", "stroke-width": 1.25 * S}) : "",
      text(x0 + 26 * S + tw, ty + 12 * S, t < 1 ? `transformer: a square of ${t >= .1 ? t.toFixed(1) : t.toFixed(2)} pixels` : "transformer, to the same scale", {class: "n1 bold"}));
    else parts.push(s("path", {d: `M${x0} ${top + t}H${x0 + t}V${top}`, fill: "none", stroke: "var(--m1)", "stroke-width": 3 * S}), text(x0, ty + 12 * S, "blue: the transformer, to the same scale", {class: "n1 bold"}));
    const grip = s("circle", {cx: x0 + a, cy: top + a, r: 9 * S, fill: "var(--you)", stroke: "#212121", "stroke-width": 2 * S, "stroke-dasharray": "4 3", style: "cursor:nwse-resize;touch-action:none", class: "grip"});
    grip.addEventListener("pointerdown", e => { const r = svg.getBoundingClientRect(), one = v.flat / v.T ** v.power, move = m => { const k = Math.max(m.clientX - r.left - x0, m.clientY - r.top - top) / full; go((Math.max(0, k) ** 2 * v.full / one) ** (1 / v.power)); };
      const up = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", up); }; addEventListener("pointermove", move); addEventListener("pointerup", up); e.preventDefault(); stage.focus({preventScroll: true}); });
    const svg = s("svg", {width: full + 20 * S, height: H}, parts, grip);
    return svg;
  }

  function lines(W, S) {
    const H = S > 1 ? 390 : 400, all = v.curves.flatMap(c => c.weights), lo = Math.floor(Math.log10(Math.min(...all))), hi = Math.ceil(Math.log10(Math.max(...all)));
    const l = 46 * S, r = (W > 560 ? 172 : 140) * S, b = 50 * S, x = T => l + (W - l - r) * Math.log2(T) / Math.log2(v.most), y = n => 14 * S + (H - b - 14 * S) * (hi - Math.log10(n)) / (hi - lo), parts = [], every = Math.ceil((hi - lo) / 7);
    for (let e = lo; e <= hi; e += every) parts.push(line(l, y(10 ** e), W - r, y(10 ** e), "var(--line)"), text(l - 8 * S, y(10 ** e) + 4.5 * S, e < 4 ? (10 ** e).toLocaleString("en-US") : "10" + power(e), {"text-anchor": "end", class: "s"}));
    const step = Math.ceil(v.lengths.length / (S > 1 ? 5 : W < 400 ? 5 : 8));
    v.lengths.forEach((T, i) => { if (i % step === 0 || T === v.most) if (T === v.most || x(v.most) - x(T) > (v.most > 999 ? 56 : 34) * S) parts.push(text(x(T), H - b + 20 * S, T.toLocaleString("en-US"), {"text-anchor": "middle", class: "s"})); });
    parts.push(text((l + W - r) / 2, H - 6 * S, "length of the text, T", {"text-anchor": "middle", class: "s"}));
    parts.push(line(x(v.T), 14 * S, x(v.T), H - b, "var(--edge)", S, {"stroke-dasharray": `${3 * S} ${3 * S}`}));
    const ends = v.curves.map(c => y(c.weights.at(-1))); // end labels keep apart
    const order = [...ends.keys()].sort((i, j) => ends[i] - ends[j]), place = [...ends]; order.forEach((i, k) => { if (k) place[i] = Math.max(place[i], place[order[k - 1]] + 18 * S); });
    v.curves.forEach((c, i) => { const now = c.name === "transformer" ? v.transformer : c.dashed ? 0 : v.flat;
      parts.push(s("path", {d: c.weights.map((n, k) => `${k ? "L" : "M"}${x(v.lengths[k]).toFixed(1)} ${y(n).toFixed(1)}`).join(""), fill: "none", stroke: `var(--m${c.slot})`, "stroke-width": (c.dashed ? 1.5 : 3) * S, "stroke-dasharray": c.dashed ? `${6 * S} ${4 * S}` : "none"}));
      if (now) parts.push(s("g", {}, shape(c.slot - 1, x(v.T), y(now), 7 * S, `var(--m${c.slot})`)));
      parts.push(text(W - r + 14 * S, place[i] + 4.5 * S, c.name, {class: `n${c.slot}` + (c.dashed ? "" : " bold")})); });
    return s("svg", {width: W, height: H, role: "img", "aria-label": "weights by length of the text, both axes by powers"}, parts);
  }

  function draw(view) {
    v = view;
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), small = P && full < 1000, narrow = full < 720 || small, W = narrow ? full : full - (P ? 520 : 420), bar = ctx.input("T").focus;
    if (+bar.max !== v.most) { bar.max = ctx.input("T").spec.max = v.most; ctx.input("T").show(ctx.get("T")); }
    h1.replaceChildren("Weights as area ", h("span", {}, P || narrow ? "" : "drag the corner"));
    h2.replaceChildren("Weights by length ", h("span", {}, "both axes by powers"));
    square.replaceChildren(area(narrow ? Math.min(full, 420) : P ? 440 : 370, S)); chart.replaceChildren(lines(W, small ? 1.8 : S));
    (narrow ? ctx.after : el).append(right);
  }
  return {el: stage, draw, keys: [["← →", "T by one"], ["d", "twice as long"], ["h", "half as long"], ["Home End", "to the ends"]], key(e) {
    const to = e.key === "d" ? v.T * 2 : e.key === "h" ? v.T / 2 : step(e, v.T, 1, v.most);
    if (to === undefined) return false;
    go(to); return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
