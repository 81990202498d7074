// ShiftedLabels: what is read, the label it gets (a line leads to the word it was taken from), and what the model gives it.
function picture(ctx) {
  const h1 = h("h4"), h2 = h("h4"), pairs = h("div"), curve = h("div"), main = h("div", {style: {flex: "none", "max-width": "100%"}}, h1, pairs), aside = h("div", {style: {flex: 1, "min-width": 0}}, h2, curve);
  const el = h("div", {class: "cols"}, main, aside), stage = h("div", {role: "group", "aria-label": "labels and losses: arrow keys change the shift", tabindex: 0, ...KEYS}, el);
  let v = null;
  const fit = (t, room, px) => [...t].length * px * .61 <= room ? t : [...t].slice(0, Math.max(1, Math.floor(room / px / .61) - 1)).join("") + "…";

  function table(W, S, most) {
    const rows = v.positions.slice(0, most), more = v.hidden + v.positions.length - rows.length, row = S > 1 ? 54 : 33, top = 30 * S, word = Math.min(150 * S, W * .25), gap = Math.min(64 * S, W * .12), l2 = word + gap, bar = l2 + word + 8 * S, right = 62 * S, room = Math.max(20, W - bar - right), px = 14 * S, k = v.shift, parts = [];
    parts.push(text(word, 16 * S, "reads", {"text-anchor": "end", class: "s"}), text(l2, 16 * S, "must say", {class: "s"}), text(bar, 16 * S, W < 480 ? "p(label)" : "and gives it", {class: "s"}));
    const y = i => top + i * row + row / 2;
    rows.forEach((p, i) => { parts.push(text(word, y(i) + px * .35, fit(p.reads, word, px), {"text-anchor": "end", class: "mono", style: `font-size:${px}px`}));
      if (!p.label) return;
      if (i + k < rows.length) parts.push(line(word + 8 * S, y(i + k), l2 - 8 * S, y(i), `var(--m${k + 1})`, 2 * S));
      parts.push(text(l2, y(i) + px * .35, fit(p.label, word, px), {class: "mono bold", style: `font-size:${px}px`, "data-label": p.label}),
        rect(bar, y(i) - 8 * S, room * p.p, 16 * S, `var(--m${k + 1})`, {class: "eased", "data-p": p.p}), text(bar + room * p.p + 6 * S, y(i) + px * .35, p.shown, {class: "big"})); });
    parts.push(line(bar, top, bar, top + rows.length * row, "var(--ink)", 1.25 * S));
    return s("svg", {width: W, height: top + (S > 1 ? most : 11.2) * row, role: "img", "aria-label": `labels moved by ${k}`}, parts,
      more ? text(S > 1 ? W : 0, S > 1 ? 16 * S : top + rows.length * row + 20, `… ${more.toLocaleString("en-US")} more` + (S > 1 ? "" : " tokens"), {class: "s", "text-anchor": S > 1 ? "end" : "start"}) : "");
  }

  function losses(W, S) {
    const H = S > 1 ? 430 : 376, l = 34 * S, r = S > 1 ? 292 : 124, b = 46 * S, hi = Math.ceil(v.untrained), n = Math.max(...v.runs.map(q => q.losses.length)), x = i => l + (W - l - r) * i / n, y = q => 14 + (H - b - 14) * (1 - q / hi), parts = [];
    for (let q = 0; q <= hi; q += 2) parts.push(line(l, y(q), W - r, y(q), "var(--line)"), text(l - 8 * S, y(q) + 4.5 * S, q, {"text-anchor": "end", class: "s"}));
    for (const q of [0, n / 2, n]) parts.push(text(x(q), H - b + 20 * S, q, {"text-anchor": "middle", class: "s"}));
    parts.push(text((l + W - r) / 2, H - 4 * S, "training steps", {"text-anchor": "middle", class: "s"}), line(l, y(v.untrained), W - r, y(v.untrained), "var(--ink)", 1.25 * S, {"stroke-dasharray": `${3 * S} ${4 * S}`}), text(W - r + 8 * S, y(v.untrained) + 4.5 * S, `ln V = ${v.untrained.toFixed(2)}`, {class: "s"}));
    if (v.floor !== null) parts.push(line(l, y(v.floor), W - r, y(v.floor), "var(--ink)", 1.5 * S));
    const marks = v.runs.map(q => ({at: y(q.held_out), said: `shift ${q.shift}: ${q.shown}`, tone: `n${q.shift + 1}` + (q.shift === v.shift ? " bold" : ""), slot: q.shift}));
    if (v.floor !== null) marks.push({at: y(v.floor) + .1, said: `floor: ${v.floor.toFixed(2)}`, tone: "bold"});
    v.runs.forEach(q => parts.push(s("path", {d: q.losses.map((z, i) => `${i ? "L" : "M"}${x(i + 1).toFixed(1)} ${y(Math.min(z, hi)).toFixed(1)}`).join(""), fill: "none", stroke: `var(--m${q.shift + 1})`, "stroke-width": (q.shift === v.shift ? 3 : 1.5) * S})));
    marks.sort((p, q) => q.at - p.at).forEach((m, i, all) => { m.y = i ? Math.min(m.at, all[i - 1].y - 19 * S) : Math.min(m.at, H - b + 2); // end labels keep apart, upward
      parts.push(m.slot === undefined ? "" : shape(m.slot, W - r + 12 * S, m.y, 5 * S, `var(--m${m.slot + 1})`), text(W - r + (m.slot === undefined ? 8 : 22) * S, m.y + 4.5 * S, m.said, {class: m.tone})); });
    return s("svg", {width: W, height: H, role: "img", "aria-label": "loss by training step, for each shift trained so far"}, parts);
  }

  function draw(view) {
    v = view;
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), small = P && full < 1000, narrow = full < 720 || small, W = narrow ? full : Math.round(full * .54);
    h1.replaceChildren("The text and its labels ", h("span", {}, W < 520 || P ? "" : "lines lead from a word to where it is the label"));
    h2.replaceChildren("Loss ", h("span", {}, "nats per token"));
    pairs.replaceChildren(v.positions.length ? table(W, S, small ? 5 : P ? 7 : 12) : h("div", {class: "empty"}, "Type a text in the box above: it needs more tokens than the shift"));
    pairs.style.width = W + "px"; curve.replaceChildren(losses(narrow ? full : full - W - (P ? 80 : 44), small ? 1.6 : S));
    (narrow ? ctx.after : el).append(aside);
  }
  return {el: stage, draw, keys: [["← →", "another shift"]], key(e) {
    const to = step(e, +ctx.get("shift"), 0, 2);
    if (to === undefined) return false;
    ctx.set("shift", String(to)); return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
