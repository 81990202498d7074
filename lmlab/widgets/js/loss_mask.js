// LossMask: tokens with their surprise hanging below, hatched where nothing is asked; under them the gradient, by position.
function picture(ctx) {
  const h1 = h("h4"), strip = h("div"), h2 = h("h4", {style: {"margin-top": "calc(3*var(--u))"}}), chart = h("div"), el = h("div", {}, h1, strip, h2, chart);
  let rows = null, v = null, answered = false, chosen = -1;

  function under(k, P) {
    const x = v.surprises[k], on = v.counts[k];
    if (x === null) return null;
    return h("span", {"data-surprise": x, style: {position: "absolute", left: 0, right: 0, top: "calc(100% + 5px)", "text-align": "center", "font-size": "var(--note)", "font-weight": 400, "font-family": "var(--jp-content-font-family, sans-serif)", "line-height": 1.2, color: on ? "var(--m1-text)" : "var(--ink-2)", "pointer-events": "none"}},
      h("i", {style: {display: "block", height: Math.max(2, (P ? 56 : 40) * Math.min(1, x / v.top_surprise)) + "px", background: on ? "var(--m1)" : "none", border: on ? "0" : "1.5px solid var(--edge)", "border-top": 0, "border-radius": "0 0 3px 3px", "margin-bottom": "2px"}}), num(x, x < 9.95 ? 1 : 0));
  }

  // one bar a position: how hard the loss pulls at the logits that predict this token
  function gradients(W, P) {
    const S = P ? 2 : 1, n = v.tokens.length, l = 52 * S, top = 8 * S, H = (P ? 190 : 128), b = H - 26 * S, gap = (W - l - 4) / n, X = k => l + gap * k, Y = g => b - (b - top) * g / (v.top_gradient || 1), parts = [], masked = hatch("var(--line)", 6);
    parts.push(masked.def);
    for (let k = 1; k < n; k++) if (!v.counts[k]) parts.push(rect(X(k), top, gap + .5, b - top, masked.fill));
    for (const g of [0, v.top_gradient]) parts.push(line(l, Y(g), W, Y(g), g ? "var(--line)" : "var(--ink)", g ? 1 : 1.25 * S), text(l - 8 * S, Y(g) + 4.5 * S, g ? num(g, 3) : "0", {"text-anchor": "end", class: "s"}));
    v.gradients.forEach((g, k) => { if (g === null) return;
      parts.push(rect(X(k) + gap * .12, Y(g), gap * .76, b - Y(g), "var(--m1)", {class: "eased", "data-k": k, "data-gradient": g})); });
    if (chosen > 0) parts.push(rect(X(chosen), top, gap, b - top, "none", {stroke: "var(--ink)", "stroke-width": 2 * S, class: "chosen"}));
    const from = v.answer_from, mid = (X(from) + X(n)) / 2, edge = 70 * S;
    parts.push(text(Math.min(W - edge, Math.max(mid, l + edge)), H - 6 * S, "the answer", {"text-anchor": "middle", class: "bold"}));
    if (X(from) - l > 150 * S) parts.push(text((l + X(from)) / 2, H - 6 * S, "the question", {"text-anchor": "middle", class: "s"}));
    parts.push(line(X(from), top - 4 * S, X(from), b + 8 * S, "var(--ink)", 1.5 * S, {"stroke-dasharray": `${4 * S} ${3 * S}`}));
    const svg = s("svg", {width: W, height: H, role: "img", "aria-label": "length of the gradient at each position"}, parts);
    svg.addEventListener("click", e => { const k = Math.floor((e.clientX - svg.getBoundingClientRect().left - l) / gap); if (k >= 0 && k < n) rows.els[0].querySelectorAll("[role=option]")[k].focus(); });
    chart.replaceChildren(svg);
  }
  const full = () => Math.max(240, ctx.root.clientWidth - (ctx.present() ? 96 : 50));

  function draw(view) {
    v = view;
    const P = ctx.present(), held = strip.contains(document.activeElement), W = full();
    const tokens = v.tokens.map((t, k) => ({text: t, bytes: 1, start: k, end: k + 1, none: k > 0 && !v.counts[k], said: v.details[k].map(([, words]) => words).join(""), under: under(k, P)}));
    rows = tokenRows([{name: "the conversation", tokens}], {at: rows ? rows.at() : [0, v.answer_from],
      onfocus: (_, k) => { chosen = k; gradients(full(), ctx.present()); if (!answered) ctx.say(v.details[k]); }, onblur: () => { chosen = -1; gradients(full(), ctx.present()); ctx.say(ctx.view().readout); }});
    rows.els[0].style.cssText = `display:flex;flex-wrap:wrap;row-gap:${P ? 92 : 60}px;padding:3px 2px ${P ? 90 : 60}px;min-height:${P ? 150 : 108}px;max-height:min(${P ? "330px,36vh" : "300px,44vh"});overflow:auto;overflow-x:hidden`;
    if (v.hidden) rows.els[0].prepend(h("span", {class: "tok gap"}, `… ${v.hidden.toLocaleString("en-US")} tokens …`));
    strip.replaceChildren(rows.els[0]);
    h1.replaceChildren("The conversation as tokens ", h("span", {}, P ? "" : "below each: surprise in nats; hatched: read, but not asked for"));
    h2.replaceChildren("Gradient at the logits ", h("span", {}, P ? "" : "its length, at the position that predicts each token"));
    gradients(W, P);
    if (held) { answered = true; rows.focus(); answered = false; }
  }
  return {el, draw, keys: [["← →", "walk the tokens"], ["m", "learn from everything, or the answer alone"]], key(e) {
    if (e.key === "m") { ctx.set("learn", ctx.get("learn") === "all" ? "answers" : "all"); return true; }
    return strip.contains(e.target) && rows.key(e);
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
