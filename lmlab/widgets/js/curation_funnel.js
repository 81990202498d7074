// CurationFunnel: pages flow from filter to filter, what is dropped falls; beneath, what a model learns from each cut.
function picture(ctx) {
  const flow = h("div"), h2 = h("h4"), chart = h("div"), h3 = h("h4"), list = h("ol", {style: {margin: 0, padding: 0, "list-style": "none"}});
  const audit = h("div", {}, h3, list), el = h("div", {}, h("h4", {}, "Pages left after each filter, ", key("var(--m1)", "good"), key("var(--quiet)", "not good")), flow, h2, chart, audit);
  let v = null, at = 0, answered = false;
  audit.style.marginTop = "calc(4*var(--u))"; h2.style.marginTop = "calc(3*var(--u))";

  function key(fill, what) { return h("span", {style: {display: "inline-flex", "align-items": "center", gap: "5px", "margin-right": "1em"}}, h("i", {"aria-hidden": "true", style: {width: ".75em", height: ".75em", flex: "none", background: fill}}), what); }
  // a band from the right of one bar to the left of the next
  const band = (x1, a1, b1, x2, a2, b2, fill, opacity) => { const m = (x1 + x2) / 2;
    return s("path", {d: `M${x1} ${a1}C${m} ${a1} ${m} ${a2} ${x2} ${a2}L${x2} ${b2}C${m} ${b2} ${m} ${b1} ${x1} ${b1}Z`, fill, "fill-opacity": opacity}); };
  const whole = c => c.good + c.bad, lost = c => c.lost_good + c.lost_bad, n = x => x.toLocaleString("en-US");
  const kept = c => pct(whole(c) / Math.max(1, whole(c) + lost(c)));

  function place(W, P) { const S = P ? 2 : 1, left = 46 * S, right = 92 * S, k = v.columns.length; return {S, X: i => left + (W - left - right) * i / (k - 1)}; }

  function draw_flow(W, P) {
    const {S, X} = place(W, P), note = P ? 28 : 13, tight = X(1) - X(0) < 6.5 * note, head = (tight ? 3.6 : 2.6) * note, tall = P ? 120 : 150, w = 13 * S, top = Math.max(1, whole(v.columns[0])), Y = x => head + 8 + tall * x / top, floor = head + tall + 26 * S, parts = [], marks = [];
    const fall = x => tall * x / top;
    v.columns.forEach((c, i) => {
      const x = X(i), p = v.columns[i - 1];
      if (p) {
        const x0 = X(i - 1) + w / 2, x1 = x - w / 2;
        parts.push(band(x0, Y(0), Y(c.good), x1, Y(0), Y(c.good), "var(--m1)", .4), band(x0, Y(p.good), Y(p.good + c.bad), x1, Y(c.good), Y(whole(c)), "var(--quiet)", .4));
        const low = floor + fall(c.lost_bad);
        parts.push(band(x0, Y(p.good + c.bad), Y(whole(p)), x1 - 4 * S, floor, low, "var(--quiet)", .25), band(x0, Y(c.good), Y(p.good), x1 - 4 * S, low, low + fall(c.lost_good), "var(--m1)", .4),
          rect(x1 - 4 * S, floor, w, fall(c.lost_bad), "var(--quiet)", {"data-lost-bad": c.lost_bad}), rect(x1 - 4 * S, low, w, fall(c.lost_good), "var(--m1)", {"data-lost-good": c.lost_good}));
      }
      parts.push(rect(x - w / 2, Y(0), w, fall(c.good), "var(--m1)", {"data-good": c.good}), rect(x - w / 2, Y(c.good), w, fall(c.bad), "var(--quiet)", {"data-bad": c.bad}));
      const chosen = i > 0 && STAGES()[i - 1] === v.stage, base = floor + fall(Math.max(...v.columns.map(lost))) + note;
      const words = tight ? c.name.split(" ") : [c.name]; // where columns are narrow, names take turns on two lines
      words.forEach((word, k) => parts.push(text(x, (k + 1) * note * 1.05 + (words.length < 2 && tight && i % 2 === 0 ? note : 0), word, {"text-anchor": "middle", class: chosen ? "bold" : "", style: `font-size:${note}px`})));
      parts.push(text(x, head - 2, n(whole(c)), {"text-anchor": "middle", class: "b halo", style: `font-size:${P ? 28 : 15}px`}));
      if (i) parts.push(text(x1_(i), base + 6 * S, lost(c) ? MINUS + n(lost(c)) : "0", {"text-anchor": "middle", class: chosen ? "bold" : "s", style: `font-size:${note}px`}));
      function x1_(i) { return X(i) - w / 2 - 4 * S + w / 2; }
      marks.push(s("g", {role: "option", tabindex: i === at ? 0 : -1, "aria-selected": i === at, "aria-label": words_of(i).map(p => p[1]).join(""), ...KEYS, onclick: () => { focus(i); pick(i); }, onfocus: () => { at = i; if (!answered) ctx.say(words_of(i)); }, onblur: () => ctx.say(v.readout)},
        rect(x - (i ? (X(1) - X(0)) * .6 : 30 * S), 2, i ? (X(1) - X(0)) * .6 + 30 * S : 60 * S, base + 8 * S, chosen ? "var(--t1)" : "transparent", {class: "hit", rx: 4, style: "cursor:pointer", "fill-opacity": chosen ? 1 : 0})));
    });
    const high = floor + fall(Math.max(...v.columns.map(lost))) + note + 12 * S;
    flow.replaceChildren(s("svg", {width: W, height: high, role: "listbox", "aria-label": "filters", "aria-orientation": "horizontal"}, marks, s("g", {"pointer-events": "none"}, parts)));
  }
  const STAGES = () => ["url", "language", "rules", "copies", "near copies", "quality"];
  function words_of(i) { const c = v.columns[i], said = [["b", c.name], ["", `: ${n(whole(c))} pages, ${n(c.good)} of them good.`]];
    if (i) said.push(["", ` It kept ${kept(c)} of what reached it and dropped ${n(lost(c))}, ${n(c.lost_good)} of them good.`]);
    if (c.bits !== null && !v.stale) said.push(["", ` A model trained on these reaches ${num(c.bits)} bits a byte.`]);
    return i ? [...said, ["", " Enter lists what was dropped."]] : said; }

  function draw_losses(W, P) {
    chart.hidden = h2.hidden = v.columns[0].bits === null;
    if (chart.hidden) return;
    const {S, X} = place(W, P), high = P ? 140 : 116, all = [v.oracle, ...v.columns.flatMap(c => [c.bits - c.error, c.bits + c.error])], lo = Math.min(...all) - .04, hi = Math.max(...all) + .06, Y = x => 8 + (high - 16) * (hi - x) / (hi - lo), parts = [], note = P ? 28 : 13, ink = v.stale ? "var(--quiet)" : "var(--m1)";
    const end = X(v.columns.length - 1), step_ = P || hi - lo > .5 ? .2 : .1;
    for (let t = Math.ceil(lo / step_) * step_; t <= hi; t += step_) parts.push(line(X(0) - 8, Y(t), end + 8, Y(t), "var(--line)"), text(X(0) - 14, Y(t) + note * .34, num(t, 1), {"text-anchor": "end", class: "s", style: `font-size:${note}px`}));
    parts.push(line(X(0) - 8, Y(v.oracle), end + 8, Y(v.oracle), "var(--ink)", 2 * S, {"data-oracle": v.oracle}), text(end + 14, Y(v.oracle) + note * .34 + (Math.abs(Y(v.oracle) - Y(v.columns.at(-1).bits)) < note * 1.2 ? note * .8 : 0), `${num(v.oracle)} good`, {style: `font-size:${note}px`}));
    parts.push(s("path", {d: "M" + v.columns.map((c, i) => `${X(i)} ${Y(c.bits)}`).join("L"), fill: "none", stroke: ink, "stroke-width": 1.5 * S, "stroke-dasharray": v.stale ? "2 4" : "none"}));
    v.columns.forEach((c, i) => parts.push(line(X(i), Y(c.bits - c.error), X(i), Y(c.bits + c.error), "var(--ink)", 2 * S), s("circle", {cx: X(i), cy: Y(c.bits), r: 5 * S, fill: v.stale ? "var(--paper)" : ink, stroke: ink, "stroke-width": 2 * S, "data-bits": c.bits})));
    const last = v.columns.at(-1), first = v.columns[0];
    parts.push(text(end + 14, Y(last.bits) + note * .34 - (Math.abs(Y(v.oracle) - Y(last.bits)) < note * 1.2 ? note * .5 : 0), num(last.bits), {class: v.stale ? "s" : "b n1", style: `font-size:${note}px`}), text(X(0) + 10 * S, Y(first.bits) - 6 * S, num(first.bits), {class: v.stale ? "s" : "b n1", style: `font-size:${note}px`}));
    h2.replaceChildren("What a model learns from each cut, ", h("span", {}, v.stale ? "bits a byte, stored runs at the default thresholds, not at these" : P ? "bits a byte" : "bits a byte on clean pages, less is better; the line in ink reads the good pages alone"));
    chart.replaceChildren(s("svg", {width: W, height: high, role: "img", "aria-label": "loss of a model trained on each cut: " + v.columns.map(c => `${c.name} ${num(c.bits)}`).join(", ") + `, the good pages alone ${num(v.oracle)}`}, parts));
  }

  function draw_audit(P) {
    audit.hidden = P;
    h3.replaceChildren(`Dropped by the filter “${v.columns[STAGES().indexOf(v.stage) + 1].name}”, `, h("span", {}, v.n_dropped ? `${n(v.audit.length)} of ${n(v.n_dropped)}, its mistakes first` : "nothing"));
    list.replaceChildren(...v.audit.map(a => h("li", {style: {"border-top": "1px solid var(--line)", padding: "5px 0", display: "grid", "grid-template-columns": "11em 1fr", gap: "0 1em"}, "data-kind": a.kind},
      h("span", {style: {"font-weight": a.good ? 700 : 400}}, key(a.good ? "var(--m1)" : "var(--quiet)", a.kind)), h("span", {}, a.why), h("span"), h("span", {class: "mono", dir: "ltr", style: {"font-size": "var(--note)", color: "var(--ink-2)", "overflow-wrap": "anywhere", "unicode-bidi": "isolate"}}, a.begins))));
    list.style.minHeight = audit.hidden ? "" : "18em";
  }

  function pick(i) { if (i) ctx.set("stage", STAGES()[i - 1]); }
  const marks = () => [...flow.querySelectorAll("[role=option]")];
  function focus(i) { at = i; marks().forEach((m, k) => { m.setAttribute("tabindex", k === i ? 0 : -1); m.setAttribute("aria-selected", k === i); }); marks()[i].focus(); }
  function draw(view) {
    v = view;
    const held = flow.contains(document.activeElement), P = ctx.present(), W = Math.max(300, ctx.root.clientWidth - (P ? 96 : 50));
    draw_flow(W, P); draw_losses(W, P); draw_audit(P);
    if (held) { answered = true; focus(at); answered = false; }
  }
  return {el, draw, keys: [["← →", "walk the filters"], ["Enter", "list what it dropped"]], key(e) {
    if (!flow.contains(e.target)) return false;
    if (e.key === "Enter" || e.key === " ") { pick(at); return true; }
    const to = step({key: e.key}, at, 0, v.columns.length - 1);
    if (to === undefined) return false;
    focus(to); return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
