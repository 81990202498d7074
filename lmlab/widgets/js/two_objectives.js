// TwoObjectives: a gap filled from the left and from both sides; below, whose answers a replaced token changes.
function picture(ctx) {
  const charts = h("div", {class: "cols"}), reach = h("div"), el = h("div", {}, charts, reach);
  ctx.input("other").box.style.flex = "0 1 220px";
  let shown = null;

  // one question: the words for the gap, filled by those who answer it, outlined by the truth
  function chart(v, L, width, slots, truth, title) {
    const label = Math.min(width * (L.small ? .44 : .36), Math.max(70 * L.S, ...v.rows.map(r => wordWidth(ctx.root, r.word, L.body, true, true))) + 14 * L.S);
    const names = slots.map(j => fitWord(ctx.root, v.models[j], width * .3, L.note, false)), known = !L.small && v.rows.some(r => r[truth] !== null);
    const cols = names.map((n, k) => Math.max(L.small ? 0 : wordWidth(ctx.root, n, L.note, false, true) + 22 * L.S, ...v.rows.map(r => wordWidth(ctx.root, r.shown[slots[k]], L.body))) + 12 * L.S);
    if (known) cols.unshift(wordWidth(ctx.root, "truth", L.note, false, true) + 36 * L.S);
    const plot = Math.max(40, width - label - cols.reduce((a, b) => a + b, 0) - 10 * L.S), bar = Math.round((L.P ? 9 : 18) / slots.length + 2) * L.S, rows = v.rows.slice(0, L.small ? 2 : L.P ? 3 : 5), X = p => plot * Math.min(1, p), height = L.head + L.row * rows.length + 4;
    const parts = (L.small ? [] : percentTicks(1, plot / 46 / L.S)).flatMap(t => [line(label + X(t), L.head - 4, label + X(t), height - 4, "var(--line)"), text(label + X(t), L.head - 9 * L.S, Math.round(100 * t) + NARROW + "%", {"text-anchor": "middle", class: "s"})]);
    let x = label + plot + 10 * L.S;
    if (!L.small) cols.forEach((c, k) => { x += c; const j = k - (known ? 1 : 0), name = j < 0 ? "truth" : names[j], w = wordWidth(ctx.root, name, L.note, false, true) + 11 * L.S;
      parts.push(j < 0 ? rect(x - w - 6 * L.S, L.head - 18 * L.S, 11 * L.S, 8 * L.S, "none", {stroke: "var(--ink)", "stroke-width": 1.5 * L.S}) : shape(slots[j], x - w, L.head - 14 * L.S, 5.5 * L.S, `var(--m${slots[j] + 1})`), text(x, L.head - 9 * L.S, name, {"text-anchor": "end", class: "bold " + (j < 0 ? "" : `n${slots[j] + 1}`)})); });
    rows.forEach((r, i) => { const mid = L.head + i * L.row + L.row / 2, high = slots.length * (bar + 2) - 2, t = r[truth];
      parts.push(text(label - 10 * L.S, mid + L.body * .34, fitWord(ctx.root, r.word, label - 12 * L.S, L.body), {"text-anchor": "end", class: "mono bold", style: `font-size:${L.body}px`}));
      slots.forEach((j, k) => { const y = mid - high / 2 + k * (bar + 2), w = X(r.probabilities[j]); parts.push(rect(label, y, w, bar, `var(--m${j + 1})`, {class: "eased", "data-word": r.word, "data-model": v.models[j], "data-p": r.probabilities[j]})); if (w > 24 * L.S) parts.push(shape(j, label + 9 * L.S, y + bar / 2, Math.min(3.4 * L.S, bar * .36), "var(--paper)")); });
      if (t > 0) { const w = Math.max(2, X(t)); parts.push(line(label + w, mid - high / 2 - 4 * L.S, label + w, mid + high / 2 + 4 * L.S, "var(--paper)", 5 * L.S), rect(label, mid - high / 2 - 4 * L.S, w, high + 8 * L.S, "none", {stroke: "var(--ink)", "stroke-width": 2 * L.S})); }
      let nx = label + plot + 10 * L.S;
      cols.forEach((c, k) => { nx += c; const j = k - (known ? 1 : 0); parts.push(text(nx, mid + L.body * .34, j < 0 ? pct(t) : r.shown[slots[j]], {"text-anchor": "end", class: j < 0 ? "bold" : `n${slots[j] + 1}`, style: `font-size:${L.body}px`})); }); });
    return h("div", {style: {flex: "1 1 0", "min-width": 0}}, h("h4", {style: L.small ? {"white-space": "nowrap", overflow: "hidden", "text-overflow": "ellipsis"} : {}}, L.small ? slots.map(mark) : "", title), s("svg", {width, height, role: "img", "aria-label": title.map(t => t.textContent || t).join("")}, parts, line(label, L.head - 4, label, height - 2, "var(--ink)", 1.25 * L.S)));
  }

  // a band a model: a bar a position, as high as its answer moved
  function bands(v, L, width) {
    const n = v.reaches[0].tokens.length, side = L.narrow ? 0 : Math.min(width * .2, 190 * L.S), least = L.P ? 150 : L.narrow ? 62 : 74, fits = Math.min(n, Math.max(3, Math.floor((width - side) / least)));
    const from = Math.max(0, Math.min(n - fits, v.at - Math.floor(fits * .7))), to = from + fits, W = Math.min((width - side) / fits, 190 * L.S), top = L.small ? 32 : L.P ? 36 : L.narrow ? 44 : 24, high = L.small ? 30 : L.P ? 44 : 64, band = top + high + (L.P ? 56 : 34), H = hatch("var(--line)", 8), parts = [H.def];
    v.reaches.forEach((r, j) => { const y = j * (band + 8 * L.S), base = y + top + high, x = i => side + (i - from) * W, last = j === v.reaches.length - 1, who = fitWord(ctx.root, r.name, L.narrow ? width * .4 : side - 24 * L.S, L.body, false), what = last ? "scores each place from all others" : "scores the next from those before";
      parts.push(shape(j, 6 * L.S, L.narrow ? y + 8 * L.S : base - high / 2 - 5 * L.S, 5.5 * L.S, `var(--m${j + 1})`), text(18 * L.S, L.narrow ? y + 13 * L.S : base - high / 2, who, {class: `bold n${j + 1}`, style: `font-size:${L.body}px`}));
      if (!L.P) parts.push(...(L.narrow ? [text(24 + wordWidth(ctx.root, who, L.body, false, true), y + 13, what, {class: "s"})] : what.split(/ (?=from)/).map((t, k) => text(0, base - high / 2 + 20 + 17 * k, t, {class: "s"}))));
      const future = r.blind.slice(from, to).filter(Boolean).length;
      if (future) parts.push(rect(x(from), base - high, future * W - 4, high, H.fill), !L.P && future * W > 150 && text(x(from) + 8 * L.S, base - high + 16 * L.S, "may not look ahead", {class: "s"}));
      parts.push(line(side, base, x(to) - 4, base, "var(--ink)", 1.25 * L.S));
      for (let i = from; i < to; i++) {
        const c = r.changes[i], up = high * c, here = i === v.at, zero = c === 0, mid = x(i) + (W - 4) / 2;
        const g = s("g", {role: "option", tabindex: here && !j ? 0 : -1, "aria-selected": String(here), "aria-label": `${r.tokens[i]}, ${r.name}: its answer moves by ${r.shown[i]}`, class: "row", "data-i": i, "data-band": j, "data-change": c, ...KEYS, onclick: () => ctx.set("at", i)});
        g.append(rect(x(i), base - high - 18 * L.S, W - 4, high + 50 * L.S, "transparent"), rect(mid - Math.min(18 * L.S, W * .3), base - up, Math.min(36 * L.S, W * .6), up, `var(--m${j + 1})`, {class: "eased"}),
          text(mid, base - up - 6 * L.S, fitWord(ctx.root, r.shown[i], W - 2, L.note, false), {"text-anchor": "middle", class: zero ? "bold" : `n${j + 1}`}));
        const word = here ? v.new : r.tokens[i], ww = Math.min(W - 6, wordWidth(ctx.root, word, L.body, true, here) + 10 * L.S);
        if (here) g.append(rect(mid - ww / 2, base + 5 * L.S, ww, 24 * L.S, "var(--you)", {rx: 4, stroke: "#212121", "stroke-width": 1.5, "stroke-dasharray": "4 3"}));
        g.append(text(mid, base + 22 * L.S, fitWord(ctx.root, word, W - 12, L.body), {"text-anchor": "middle", class: "mono" + (here ? " bold" : ""), style: `font-size:${L.body}px` + (here ? ";fill:var(--on-you)" : "")}));
        parts.push(g);
      } });
    const gaps = [from && `${from} to the left`, to < n && `${n - to} to the right`].filter(Boolean).join(", ");
    return [h("h4", {}, "Put ", h("span", {class: "you"}, v.new), " in the place of ", h("span", {class: "mono", style: {color: "var(--ink)"}}, v.old), h("span", {}, L.small ? ": each answer moves by" : `: how far does each answer move? Click or walk to another token${gaps && ` (${gaps})`}`)),
      s("svg", {width, height: v.reaches.length * (band + 8 * L.S), role: "listbox", "aria-label": "tokens", "aria-orientation": "horizontal"}, parts.filter(Boolean))];
  }

  function draw(v) {
    const held = reach.contains(document.activeElement) ? +document.activeElement.dataset.band || 0 : -1;
    shown = v;
    const P = ctx.present(), S = P ? 2 : 1, width = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), narrow = width < 670, small = P && width < 1000, L = {P, S, narrow, small, note: P ? 28 : 13, body: P ? 30 : 15, row: P ? 46 : 36, head: small ? 8 : P ? 52 : 30}, half = narrow ? width : (width - (small ? 60 : P ? 80 : 40)) / 2;
    const n = v.models.length, code = t => h("span", {class: "mono", style: {color: "var(--ink)", "white-space": small ? "pre" : ""}}, t), tail = t => t.length > 24 ? "…" + t.slice(-23) : t, lead = t => t.length > 24 ? t.slice(0, 23) + "…" : t;
    reach.style.marginTop = P ? "8px" : "20px";
    charts.replaceChildren(chart(v, L, half, v.models.slice(0, -1).map((_, j) => j), "left_truth", [small ? "left: " : "Reads the left: ", code(tail(v.left) + " ___")]), chart(v, L, half, [n - 1], "both_truth", [small ? "both: " : "Reads both sides: ", code(tail(v.left) + " ___" + lead(v.right))]));
    reach.replaceChildren(...bands(v, L, width));
    if (held >= 0) { const g = reach.querySelector(`[data-i="${v.at}"][data-band="${held}"]`); if (g) g.focus(); }
  }
  return {el, draw, keys: [["← →", "replace another token"]], key(e) {
    if (!reach.contains(e.target)) return false;
    const to = step(e, shown.at, 0, shown.reaches[0].tokens.length - 1);
    if (to === undefined) return false;
    ctx.set("at", to);
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
