// A roofline, log-log: FLOPs per byte across, FLOP/s up. The roof is a limit, and so a line in ink; kernels are numbered dots, and a list names them.
function roofline(ctx, redraw) {
  const title = h("h4"), chart = h("div"), plot = h("div", {style: {flex: "none", "max-width": "100%"}}, title, chart);
  const heading = h("h4"), list = h("div", {role: "listbox", "aria-label": "kernels"}), box = ctx.input("measure").box, button = box.querySelector("button"), table = h("div", {style: {flex: 1, "min-width": 0}}, heading, list, box), el = h("div", {class: "cols"}, plot, table);
  let v = null, chosen = 6, measuring = false;
  box.style.alignItems = "flex-start";

  function roof(W, H, S) {
    const [name, peak, bandwidth, ridge] = v.roof, all = v.placed.flatMap(p => [p[2], p[3] || p[2]]), lo = 10 ** Math.floor(Math.log10(Math.min(...all) / 1.5)), hi = 10 ** Math.ceil(Math.log10(peak * 1.5)), l = 92 * S, r = 14 * S, t = 34 * S, b = H - 52 * S;
    const X = i => l + (W - l - r) * Math.log2(i / .25) / 12, Y = f => b - (b - t) * Math.log10(f / lo) / Math.log10(hi / lo), unit = f => { const k = f >= 1e12 ? 4 : f >= 1e9 ? 3 : 2; return f / 1000 ** k + NARROW + "  MGT"[k]; }, from = Math.max(.25, lo / bandwidth), parts = [];
    for (let i = 1; i <= 1024; i *= 4) parts.push(line(X(i), t, X(i), b, "var(--line)"), text(X(i), b + 18 * S, i.toLocaleString("en-US"), {"text-anchor": "middle", class: "s"}));
    for (let f = lo; f < hi * 1.01; f *= 10) parts.push(line(l, Y(f), W - r, Y(f), "var(--line)"), text(l - 8 * S, Y(f) + 4 * S, unit(f), {"text-anchor": "end", class: "s"}));
    parts.push(text((l + W - r) / 2, H - 12 * S, "FLOPs per byte", {"text-anchor": "middle", class: "s"}), text(l - 8 * S, 14 * S, "FLOP/s", {"text-anchor": "end", class: "s"}),
      s("path", {d: `M${X(from)} ${Y(from * bandwidth)}L${X(ridge)} ${Y(peak)}H${W - r}`, fill: "none", stroke: "var(--ink)", "stroke-width": 2.5 * S}), line(X(ridge), Y(peak), X(ridge), b, "var(--edge)", 1.25 * S, {"stroke-dasharray": `${5 * S} ${4 * S}`}), text(X(ridge) - 6 * S, b - 8 * S, `ridge ${num(ridge, 0)}`, {"text-anchor": "end", class: "bold"}));
    v.placed.forEach(([, i, can, real], j) => { const on = j === chosen, y = Y(real || can), up = real ? "037".includes(j) : j % 2;
      if (real) parts.push(line(X(i), Y(can), X(i), y, "var(--m1)", 1.5 * S));
      parts.push(s("circle", {cx: X(i), cy: y, r: (on ? 8 : 6) * S, fill: real ? "var(--m1)" : "var(--paper)", stroke: on ? "var(--ink)" : "var(--m1)", "stroke-width": 2.5 * S}), text(X(i) + (up ? -9 : 10) * S, y + (real ? 5 : up ? -9 : 18) * S, j + 1, {class: "n1 bold", "text-anchor": up ? "end" : "start"})); });
    return s("svg", {width: W, height: H, role: "img", "aria-label": `roofline of ${name}: ridge at ${num(ridge, 0)} FLOPs per byte`, "data-ridge": ridge}, parts);
  }
  function row([k, i, can, is, shown, speed], j, real, P) {
    return h("div", {role: "option", "aria-selected": String(j === chosen), tabindex: -1, ...KEYS, "data-kernel": k, "data-intensity": i, "data-attainable": can, "data-measured": is ?? "", onclick: () => pick(j),
      style: {display: "grid", "grid-template-columns": `1.5em 1fr max-content ${real && !P ? 9 : 5}em`, gap: "calc(2*var(--u))", padding: P ? 0 : "5px", "border-top": j ? "1px solid var(--line)" : "", outline: j === chosen ? "var(--stroke) solid var(--ink)" : "none", "text-align": "right", "white-space": "nowrap"}},
      h("b", {class: "n1"}, j + 1), h("span", {style: {"text-align": "left", overflow: "hidden", "text-overflow": "ellipsis"}}, k), h("b", {}, shown), h("span", {}, speed[P ? 1 : 0]));
  }
  function pick(j) { chosen = Math.max(0, Math.min(v.placed.length - 1, j)); redraw(); ctx.say(v.placed[chosen][6]); }

  function draw(view, W, H, P, S) {
    v = view; measuring = measuring && ctx.model.get("_busy");
    const real = v.roof[4];
    plot.style.width = W + "px";
    title.replaceChildren(`The roof of ${real ? "this machine" : "an " + v.roof[0]} `, h("span", {}, P ? "" : real ? "line: attainable; dots: measured" : "line: attainable, by its data sheet"));
    chart.replaceChildren(roof(W, H, S));
    heading.replaceChildren("Kernels ", h("span", {}, real ? "FLOPs per byte · FLOP/s of attainable" : "FLOPs per byte · attainable FLOP/s")); heading.hidden = P;
    list.replaceChildren(...v.placed.map((p, j) => row(p, j, real, P)));
    button.textContent = measuring ? "Measuring…" : real ? "Measure again" : "Measure this machine"; button.disabled = measuring;
  }
  return {el, table, draw, measure() { measuring = true; redraw(); },
    key(e) { const to = step(e, chosen, 0, v.placed.length - 1, /Up|Down/.test(e.key) ? -1 : 1); if (to !== undefined) pick(to); return to !== undefined; }};
}
