// FlopsCount: every count as a dot over its width, and the one at hand part by part.
function picture(ctx) {
  const head = h("h4"), svg = s("svg", {role: "group", "aria-label": "counts by width: arrow keys change the width", tabindex: 0, ...KEYS}), left = h("div", {style: {flex: "none", "max-width": "100%"}}, head, svg);
  const title = h("h4", {}, "Operations of this step"), chart = h("div"), right = h("div", {style: {flex: 1, "min-width": 0}}, title, chart), el = h("div", {class: "cols"}, left, right);
  let v = null;

  function dots(W, H, S) {
    const l = 56 * S, b = 46 * S, t = 14 * S, r = 84 * S, top = Math.max(1.6, ...v.dots.map(d => d[2])) * 1.04, low = .93;
    const x = w => l + (W - l - r) * Math.log2(w / v.narrowest) / Math.log2(v.widest / v.narrowest), y = q => H - b - (H - b - t) * Math.log(q / low) / Math.log(top / low);
    const parts = [], marks = [1, 1.1, 1.2, 1.5, 2, 3, 4, 6].filter(q => q < top), shown = marks.filter((q, i) => !i || Math.abs(y(q) - y(marks[i - 1])) > 20 * S);
    for (const q of shown) parts.push(q === 1 ? line(l, y(1), W - r, y(1), "var(--ink)", 2 * S) : line(l, y(q), W - r, y(q), "var(--line)", S), text(l - 10 * S, y(q) + 4.5 * S, num(q, q % 1 ? 1 : 0), {"text-anchor": "end", class: "s"}));
    for (let w = v.narrowest; w <= v.widest; w *= 2) parts.push(line(x(w), H - b, x(w), H - b + 5 * S, "var(--edge)", S), text(x(w), H - b + 20 * S, w, {"text-anchor": "middle", class: "s"}));
    parts.push(line(l, H - b, W - r, H - b, "var(--edge)", S), text((l + W - r) / 2, H - 6 * S, "width, log scale", {"text-anchor": "middle", class: "s"}), text(W - r + 10 * S, y(1) + 5 * S, "6·N·D", {class: "b"}));
    const lengths = [...new Set(v.dots.map(d => d[1]))].sort((p, q) => (p === v.length) - (q === v.length)); // the one at hand is drawn last
    for (const T of lengths) {
      const own = T === v.length, row = v.dots.filter(d => d[1] === T), last = row[row.length - 1];
      if (row.length > 1) parts.push(s("path", {d: row.map((d, i) => `${i ? "L" : "M"}${x(d[0]).toFixed(1)} ${y(d[2]).toFixed(1)}`).join(""), fill: "none", stroke: own ? "var(--m1)" : "var(--quiet)", "stroke-width": (own ? 2.5 : 1.5) * S}));
      parts.push(...row.map(d => s("circle", {cx: x(d[0]), cy: y(d[2]), r: (own ? 5 : 4) * S, fill: own ? "var(--m1)" : "var(--paper)", stroke: own ? "var(--m1)" : "var(--quiet)", "stroke-width": 1.5 * S, "data-dot": d.join(" ")})));
      const first = row[0]; // at its left end a row is farthest from all others
      if (!own && row.length > 1) parts.push(text(x(first[0]) + 9 * S, y(first[2]) - 8 * S, `T = ${T}`, {class: "s"}));
    }
    const here = [x(v.width), y(v.ratio)], end = here[0] > W - r - 120 * S;
    parts.push(s("circle", {cx: here[0], cy: here[1], r: 9 * S, fill: "var(--m1)", stroke: "var(--paper)", "stroke-width": 2 * S}),
      text(here[0] + (end ? -14 : 14) * S, here[1] - 10 * S, `${num(v.ratio, 3)} at T = ${v.length}`, {class: "b n1", "text-anchor": end ? "end" : "start", style: "paint-order:stroke;stroke:var(--paper);stroke-width:5px"}));
    svg.setAttribute("width", W); svg.setAttribute("height", H); svg.replaceChildren(...parts);
  }

  function draw(view) {
    v = view;
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), aside = full > (P ? 1300 : 1000), W = aside ? Math.round(full * .56) : full;
    for (const name of ["width", "length"]) { const {box, cap} = ctx.input(name); box.style.flexBasis = P && !aside ? "200px" : "240px"; cap.style.display = "inline"; } // which is which, on a projector too
    (P && !aside ? ctx.after : el).append(right); // on a small one the parts stand below the sentence
    el.style.flexDirection = aside ? "row" : "column"; el.style.gap = aside ? (P ? "72px" : "40px") : "24px";
    left.style.width = W + "px";
    head.replaceChildren("Counted, in units of 6·N·D ", h("span", {}, P ? "" : "every dot a model that ran; log scale"));
    dots(W, P ? (aside ? 470 : 300) : 340, S);
    const width = Math.min(aside ? full - W - (P ? 72 : 40) : full, P ? 900 : 560);
    chart.replaceChildren(bars(v.rows.map(([label, n, shown]) => ({label, value: n, shown, fill: label === "counted" ? "var(--m1)" : undefined, tone: label === "counted" ? "n1" : "", strong: label === "counted", outline: label === "6·N·D"})), {width, left: P ? 300 : 142, right: P ? 190 : 88, step: P ? 66 : 42, label: v.rows.map(r => `${r[0]} ${r[2]}`).join(", ")}));
  }
  return {el, draw, keys: [["← →", "narrower, wider"], ["Home End", "narrowest, widest"], ["↑ ↓", "more, fewer positions"]], key(e) {
    if (e.target !== svg || !v) return false;
    if (e.key === "ArrowUp" || e.key === "ArrowDown") { ctx.set("length", Math.max(8, Math.min(1024, ctx.get("length") + (e.key === "ArrowUp" ? 8 : -8)))); return true; }
    const to = step(e, ctx.get("width"), v.narrowest, v.widest, v.narrowest, 4 * v.narrowest);
    if (to === undefined) return false;
    ctx.set("width", to);
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
