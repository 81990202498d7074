// TrainingMonitor: the loss falls towards the floor, which is drawn in ink. Points come thinned, as float32 pairs.
function picture(ctx) {
  const state = h("b", {class: "mon-state", style: {"font-size": "calc(var(--q)*1.1)", "white-space": "nowrap"}}), fill = h("i", {style: {display: "block", height: "100%", background: "var(--ink)", "border-radius": "9px"}});
  const track = h("div", {role: "progressbar", "aria-label": "steps", "aria-valuemin": 0, style: {flex: "1 1 120px", height: "8px", background: "var(--t3)", "border-radius": "9px"}}, fill), count = h("b", {class: "mon-count"}), time = h("span", {class: "cap"});
  const row = h("div", {style: {display: "flex", "flex-wrap": "wrap", gap: "calc(2*var(--u)) calc(5*var(--u))", "align-items": "center", "margin-bottom": "calc(6*var(--u))"}});
  for (const name of ["toggle", "halt"]) { const box = ctx.input(name).box; box.querySelector(".cap").remove(); row.append(box); }
  row.append(state, track, count, time);
  const trouble = h("div", {class: "lm-error", role: "alert", hidden: true});
  const h1 = h("h4"), chart = h("div", {role: "img", tabindex: 0, ...KEYS}), h2 = h("h4"), texts = h("div"), aside = h("div", {style: {flex: 1, "min-width": 0}}, h2, texts);
  const smoothing = ctx.input("smoothing").box, head = h("div", {style: {display: "flex", "flex-wrap": "wrap", "justify-content": "space-between", "align-items": "center", gap: "0 24px"}}, h1, smoothing);
  smoothing.style.cssText = "flex-direction:row;align-items:center;gap:12px"; h1.style.margin = 0;
  const left = h("div", {style: {flex: "none", "max-width": "100%"}}, head, chart), cols = h("div", {class: "cols"}, left, aside), sparks = h("div", {style: {display: "flex", "flex-wrap": "wrap", gap: "calc(5*var(--u)) calc(10*var(--u))", "margin-top": "calc(6*var(--u))"}});
  const el = h("div", {}, row, trouble, cols, sparks);
  ctx.root.querySelector(".lm-controls").style.display = "none";

  function unpack(v) { // name -> [steps, values]
    const all = floats(ctx.get("curve")), out = {}; let at = 0;
    for (const [name, n] of v.lines) { out[name] = [all.subarray(at, at + n), all.subarray(at + n, at + 2 * n)]; at += 2 * n; }
    return out;
  }
  const path = ([xs, ys], x, y) => { let d = ""; for (let i = 0; i < xs.length; i++) if (Number.isFinite(ys[i])) d += `${d ? "L" : "M"}${x(xs[i]).toFixed(2)} ${y(ys[i]).toFixed(2)}`; return d; };

  function drawChart(v, lines, W) {
    const P = ctx.present(), S = P ? 2 : 1, H = P ? ctx.room(chart, 280, 620) : 400, l = 46 * S, t = 14 * S, b = P ? 64 : 50, w = W - l - 14 * S, height = H - t - b;
    const steps = Math.max(1, v.steps || v.step * 1.25), x = k => l + w * k / steps, band = 26 * S / height, low = v.floor ? Math.min(v.low, (v.floor / v.high ** band) ** (1 / (1 - band))) : v.low; // below the floor there is room for its name
    const y = q => t + height * Math.log(v.high / Math.max(q, low)) / Math.log(v.high / low), parts = [];
    for (const q of [.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 4, 8, 16]) if (q >= low && q <= v.high) parts.push(line(l, y(q), l + w, y(q), "var(--line)"), text(l - 10 * S, y(q) + 4.5 * S, q, {"text-anchor": "end", class: "s"}));
    const by = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6].find(d => steps / d <= (P || W < 560 ? 4.2 : 6.2)) || steps;
    for (let k = 0; k <= steps; k += by) parts.push(text(x(k), H - b + 20 * S, P && !k ? "step 0" : k.toLocaleString("en-US"), {"text-anchor": "middle", class: "s"}));
    parts.push(line(l, H - b, l + w, H - b, "var(--ink)", 1.25 * S)); if (!P) parts.push(text(l + w / 2, H - 6, "step", {"text-anchor": "middle", class: "s"}));
    if (v.uniform) parts.push(line(l, y(v.uniform), l + w, y(v.uniform), "var(--edge)", S, {"stroke-dasharray": "3 4"}), text(l + 12 * S, y(v.uniform) - 7 * S, `ln V = ${num(v.uniform)}: knows nothing`, {class: "s"}));
    const [sx, sy] = lines.smooth, n = sx.length, [hx, hy] = lines.held_out, m = hx.length;
    if (n) {
      const d = path(lines.smooth, x, y), from = `${x(sx[0]).toFixed(2)} ${H - b}`;
      if (n > 1) parts.push(s("path", {d: `M${from}L${d.slice(1)}L${x(sx[n - 1]).toFixed(2)} ${H - b}Z`, fill: "var(--m1)", "fill-opacity": .09}));
      parts.push(s("path", {class: "loss", d: path(lines.loss, x, y), fill: "none", stroke: "var(--m1)", "stroke-width": S, "stroke-opacity": .6}), s("path", {class: "smooth", d, fill: "none", stroke: "var(--m1)", "stroke-width": 3 * S, "stroke-linejoin": "round"}));
    }
    if (v.floor) parts.push(line(l, y(v.floor), l + w, y(v.floor), "var(--ink)", 2.5 * S, {class: "floor"}), text(l + w, y(v.floor) + 19 * S, `floor ${num(v.floor, 3)}: the text’s own entropy`, {"text-anchor": "end", class: "bold"}));
    if (m) { parts.push(s("path", {class: "held-out", d: path(lines.held_out, x, y), fill: "none", stroke: "var(--m2)", "stroke-width": 2.5 * S})); for (let i = 0; i < m; i++) parts.push(shape(1, x(hx[i]), y(hy[i]), 4 * S, "var(--m2)")); }
    if (n) {
      const X = x(sx[n - 1]), Y = y(sy[n - 1]), end = X > l + w * .72, side = end ? -10 * S : 12 * S, anchor = {"text-anchor": end ? "end" : "start"}, halo = {"paint-order": "stroke", stroke: "var(--paper)", "stroke-width": 5 * S};
      if (v.status === "failed") parts.push(text(X, Y + 8 * S, "✕", {"text-anchor": "middle", class: "b", style: `fill:var(--bad);font-size:${26 * S}px`, ...halo})); else parts.push(shape(0, X, Y, 6 * S, "var(--m1)"));
      const above = Y - (m ? 49 : 28) * S < t ? Y + 50 * S : Y - 14 * S, label = m ? `● training ${v.last}` : `${v.last} nats per token`;
      parts.push(text(X + side, Math.max(t + 34 * S, above), label, {class: "b n1", ...anchor, ...halo}));
      if (m) { const Y2 = y(hy[m - 1]), near = Math.abs(Y2 - Y) < 34 * S; parts.push(text(X + side, near ? Math.max(t + 14 * S, above - 21 * S) : Y2 - 12 * S, `■ held out ${v.held_out}`, {class: "b n2", ...anchor, ...halo})); }
    }
    chart.replaceChildren(s("svg", {width: W, height: H, "data-box": [l, t, w, height].join(), "data-steps": steps, "data-low": low, "data-high": v.high}, parts));
    chart.setAttribute("aria-label", `loss by step; ${v.last ? "now " + v.last : "nothing yet"}`);
    h1.replaceChildren("Loss, nats per token ", h("span", {}, P || W < 560 ? "log scale" : "thin: each batch; thick: mean; log scale"));
  }

  function drawTexts(v) {
    const shown = ctx.present() ? v.samples.slice(-1) : v.samples;
    h2.textContent = v.prompt ? `What it writes after “${v.prompt}”` : "What it writes from nothing";
    texts.replaceChildren(...shown.map(([step, words], i) => h("div", {style: {"border-top": "1px solid var(--line)", padding: "calc(2*var(--u)) 0 calc(3*var(--u))"}},
      h("div", {class: "cap"}, `step ${step.toLocaleString("en-US")} `, i === shown.length - 1 && v.samples.length > 1 ? h("b", {style: {color: "var(--ink)"}}, "latest") : ""),
      h("div", {class: "mono", style: {"overflow-wrap": "anywhere", "max-height": "7.3em", overflow: "hidden", color: i === shown.length - 1 ? "var(--ink)" : "var(--ink-2)"}}, v.prompt + words))));
    aside.hidden = !shown.length; sparks.hidden = ctx.present();
  }

  function drawSparks(v, lines) {
    sparks.replaceChildren(...["lr", "grad_norm", "rate", "extra"].map((name, i) => {
      const W = 170, H = 40, [xs, ys] = lines[name], top = Math.max(1e-12, ...ys.filter(Number.isFinite)), steps = Math.max(1, v.steps || v.step);
      return h("div", {style: {flex: "1 1 170px"}}, h("div", {class: "cap"}, v.sparks[i][0]), h("b", {"data-spark": name}, v.sparks[i][1]),
        s("svg", {width: W, height: H, role: "img", "aria-label": `${v.sparks[i][0]} by step`}, s("path", {d: path([xs, ys], k => W * k / steps, q => 2 + (H - 4) * (1 - q / top)), fill: "none", stroke: "var(--ink-2)", "stroke-width": 2}), line(0, H - 1, W, H - 1, "var(--line)")));
    }));
  }

  function draw(v) {
    const P = ctx.present(), full = Math.max(260, ctx.root.clientWidth - (P ? 96 : 50)), wide = full > (P ? 1300 : 900) && v.samples.length, lines = unpack(v), small = P && !wide; // a small projector: what it writes stands after the sentence
    if (small) ctx.after.append(aside); else cols.append(aside);
    state.textContent = `${v.mark} ${v.status}`; state.style.color = v.status === "failed" ? "var(--bad)" : "var(--ink)";
    count.textContent = v.steps ? `${v.step.toLocaleString("en-US")} of ${v.steps.toLocaleString("en-US")}` : v.step.toLocaleString("en-US");
    fill.style.width = v.steps ? Math.min(100, 100 * v.step / v.steps) + "%" : "0"; track.setAttribute("aria-valuenow", v.step); track.setAttribute("aria-valuemax", v.steps || v.step);
    time.textContent = v.time; trouble.hidden = !v.trouble || P && v.status === "failed"; // there the sentence says it, and is large enough
    trouble.textContent = v.trouble ? (v.status === "failed" ? "✕ " : "! ") + v.trouble : "";
    const over = ["stopped", "finished", "failed"].includes(v.status), [toggle, halt] = ["toggle", "halt"].map(name => ctx.input(name).box.querySelector("button"));
    if (toggle.textContent !== v.toggle) toggle.textContent = v.toggle;
    const words = v.can_steer ? "■ Stop" : "Stop: only where it runs"; if (halt.textContent !== words) halt.textContent = words;
    toggle.disabled = halt.disabled = over || !v.can_steer; toggle.parentNode.hidden = halt.parentNode.hidden = P && halt.disabled; row.style.marginBottom = P ? "calc(2*var(--u))" : "calc(6*var(--u))";
    const W = wide ? Math.round(full * .6) : full; left.style.width = W + "px"; drawChart(v, lines, W); drawTexts(v); drawSparks(v, lines);
  }
  const press = name => { const button = ctx.input(name).box.querySelector("button"); if (!button.disabled) ctx.click(name); return true; };
  return {el, draw, keys: [["Space", "start, pause or resume"], ["s", "stop for good"]], key: e => el.contains(e.target) && !/BUTTON|INPUT/.test(e.target.tagName) && (e.key === " " ? press("toggle") : e.key === "s" ? press("halt") : /^(Arrow|Home|End|Page)/.test(e.key))};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
