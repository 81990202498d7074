// FewShot: accuracy by the number of examples, with error bars; below it one prompt as tokens, beside it the answers.
function picture(ctx) {
  const main = h("div", {style: {flex: "none", "max-width": "100%"}}), aside = h("div", {style: {flex: 1, "min-width": 0}}), cols = h("div", {class: "cols"}, main, aside);
  const strip = h("div"), el = h("div", {}, cols, strip), stage = h("div", {role: "group", tabindex: 0, ...KEYS, "aria-label": "the chart: arrow keys choose the number of examples", style: {width: "fit-content", "max-width": "100%"}});
  const h1 = h("h4"), h2 = h("h4"), h3 = h("h4"), rows = h("div"), chips = h("div", {style: {"max-height": "calc(8.4*var(--body))", "overflow-y": "auto", "padding-top": "2px"}});
  main.append(h1, stage); aside.append(h2, rows); strip.append(h3, chips); strip.style.marginTop = "calc(5*var(--u))";
  let v = null;
  ctx.model.on("change:k", () => { if (v) draw(v); });
  const tone = i => `n${i + 1}`, fill = i => `var(--m${i + 1})`;
  const now = () => v.own ? Math.min(v.most, v.own.k) : Math.min(v.most, ctx.get("k"));

  function chart() {
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), wide = !P && full > 1030, W = wide ? Math.min(720, full - 430) : full;
    const l = 44 * S, t = 14 * S, H = (P ? 430 : 300), b = 46 * S, end = Math.min(W * .3, 150 * S), w = W - l - end, high = H - t - b, gap = w / (v.most + .6), off = (v.curves.length - 1) / 2;
    const X = (k, i = off) => l + gap * (k + .3) + (i - off) * Math.min(9 * S, gap / 6), Y = p => t + high * (1 - p), parts = [], chosen = now();
    parts.push(s("rect", {x: X(chosen) - gap / 2, y: t - 8 * S, width: gap, height: high + 12 * S, fill: "var(--t1)", stroke: "var(--ink)", "stroke-width": 1.5 * S, rx: 4, class: "chosen"}));
    for (const p of [0, .5, 1]) parts.push(line(l, Y(p), l + w, Y(p), p ? "var(--line)" : "var(--ink)", p ? 1 : 1.25 * S), text(l - 8 * S, Y(p) + 4.5 * S, 100 * p, {"text-anchor": "end", class: "s"}));
    for (let k = 0; k <= v.most; k++) parts.push(text(X(k), H - b + 20 * S, k, {"text-anchor": "middle", class: k === chosen ? "bold" : "s"}));
    parts.push(text(l + w / 2, H - 4 * S, "examples in the prompt", {"text-anchor": "middle", class: "s"}));
    parts.push(line(l, Y(v.guess), l + w, Y(v.guess), "var(--ink)", 1.5 * S, {"stroke-dasharray": `${5 * S} ${4 * S}`}));
    const ends = [[Y(v.guess), `a guess: ${+(100 * v.guess).toFixed(1)}`, "s"]];
    v.curves.forEach((c, i) => {
      const path = values => values.reduce((d, p, k) => p === null ? d : `${d}${d ? "L" : "M"}${X(k, i)} ${Y(p)}`, "");
      if (v.shuffled && c.shown.some(p => p !== null)) {
        parts.push(s("path", {d: path(c.shown), fill: "none", stroke: fill(i), "stroke-width": 2 * S, "stroke-dasharray": `${2 * S} ${4 * S}`, class: "shown"}));
        c.shown.forEach((p, k) => p === null || parts.push(s("circle", {cx: X(k, i), cy: Y(p), r: 3.5 * S, fill: "var(--paper)", stroke: fill(i), "stroke-width": 1.5 * S})));
      }
      parts.push(s("path", {d: path(c.right), fill: "none", stroke: fill(i), "stroke-width": 2.5 * S, "stroke-linejoin": "round"}));
      c.right.forEach((p, k) => { const x = X(k, i), cap = 4 * S;
        parts.push(s("path", {d: `M${x - cap} ${Y(c.high[k])}h${2 * cap}M${x - cap} ${Y(c.low[k])}h${2 * cap}M${x} ${Y(c.high[k])}V${Y(c.low[k])}`, stroke: fill(i), "stroke-width": 1.5 * S, fill: "none", class: "bar", "data-model": c.name, "data-k": k, "data-right": p, "data-low": c.low[k], "data-high": c.high[k]}), shape(i, x, Y(p), 5 * S, fill(i))); });
      if (c.right.length) ends.push([Y(c.right.at(-1)), `${"●■▲◆"[i]} ${c.name}`, "bold " + tone(i)]);
    });
    ends.sort((a, b) => a[0] - b[0]); let y = -99;
    for (const e of ends) { e[0] = y = Math.max(e[0], y + 19 * S); }
    const over = y - (H - b - 2 * S); if (over > 0) for (let i = ends.length - 1, most = H - b - 2 * S; i >= 0; i--) { ends[i][0] = Math.min(ends[i][0], most); most = ends[i][0] - 19 * S; }
    for (const [at, words, kind] of ends) parts.push(text(l + w + 8 * S, at + 4.5 * S, words.length > 16 ? words.slice(0, 15) + "…" : words, {class: kind}));
    const svg = s("svg", {width: W, height: H, role: "img", "aria-label": v.question, style: "cursor:pointer"}, parts);
    svg.addEventListener("click", e => { choose(Math.round((e.clientX - svg.getBoundingClientRect().left - l) / gap - .3)); stage.focus({preventScroll: true}); });
    stage.replaceChildren(svg);
    h1.replaceChildren("Right answers, percent ", h("span", {}, v.shuffled ? "dotted: says the shuffled label" : P ? "" : `of ${v.asked} at each k`));
    (wide ? cols : ctx.after).append(aside);
    return wide ? full - W - 40 : full;
  }

  function answers(one, width) {
    const n = v.curves.length, thick = n > 2 ? 13 : 15, row = n * (thick + 3) + 14, left = 92, right = 96, w = Math.min(width, 640) - left - right, parts = [];
    one.options.forEach((o, r) => { const y = r * row, mark = o.role === "shown" ? "in the prompt" : o.role === "right" ? "right" : "";
      parts.push(text(left - 8, y + row / 2 + (mark ? -4 : 4), o.text.length > 11 ? o.text.slice(0, 10) + "…" : o.text, {"text-anchor": "end", class: "mono" + (o.role ? " bold" : "")}));
      if (mark) parts.push(text(left - 8, y + row / 2 + 12, mark, {"text-anchor": "end", class: "s"}));
      o.p.forEach((p, i) => { const at = y + 4 + i * (thick + 3);
        if (p !== null) parts.push(rect(left, at, w * p, thick, fill(i), {"data-option": o.text, "data-slot": i, "data-p": p}));
        parts.push(text(left + (p || 0) * w + 6, at + thick * .82, o.words[i], {class: p === null ? "s" : tone(i)})); }); });
    parts.push(line(left, 0, left, one.options.length * row, "var(--ink)", 1.25));
    rows.replaceChildren(s("svg", {width: left + w + right, height: one.options.length * row, role: "img", "aria-label": "probability of each answer"}, parts));
  }

  function draw(view) {
    v = view;
    const width = chart(), one = v.own || v.cases[now()], P = ctx.present();
    strip.hidden = !one; aside.hidden = !one || P;
    if (v.done < 1) { ctx.root.classList.add("busy"); ctx.root.querySelector(".lm-busy i").style.width = Math.max(2, 100 * v.done) + "%"; }
    if (!one) return;
    if (!P) answers(one, width);
    h2.replaceChildren("What each answers ", h("span", {}, "probability, percent"));
    h3.replaceChildren(v.own ? "Your prompt, " : "One of the prompts, ", `k = ${one.k} `, h("span", {}, P ? "" : v.own ? "empty the box, and press Enter, to go back" : "arrow keys in the chart: fewer or more examples"));
    chips.replaceChildren(tokenStrip(one.tokens, {label: "the prompt as tokens", selected: one.tokens.length - 1}).el);
  }
  function choose(k) { const to = Math.max(0, Math.min(v.most, k)); ctx.model.set("k", to); ctx.model.save_changes(); }
  return {el, draw, keys: [["← →", "fewer or more examples"], ["Home End", "none, all"]], key(e) {
    if (e.target !== stage) return false;
    const to = step(e, ctx.get("k"), 0, v.most);
    if (to === undefined) return false;
    choose(to); return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
