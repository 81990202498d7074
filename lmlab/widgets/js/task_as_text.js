// TaskAsText: options as bars, a bar a model, the truth an outline. Beside them the score over all held-out prompts,
// whose intervals shrink while it counts, and the losses of one model for all and a model a kind.
function picture(ctx) {
  const chart = h("div", {style: {flex: "none", "max-width": "100%"}}), aside = h("div", {style: {flex: 1, "min-width": 0}});
  const score = h("div"), study = h("div"), cols = h("div", {class: "cols"}, chart, aside), strip = h("div"), el = h("div", {}, cols);
  const bar = h("div"), h1 = h("h4"), h2 = h("h4"), h3 = h("h4"), tally = h("div"), curve = h("div"), train = ctx.input("train").box;
  const given = h("div", {class: "mono", style: {background: "var(--t1)", "border-radius": "6px", padding: "calc(2*var(--u)) calc(3*var(--u))", "margin-bottom": "calc(4*var(--u))", "min-height": "5.2em", "overflow-wrap": "anywhere"}});
  train.style.cssText = "width:max-content"; ctx.input("train").cap.hidden = true;
  chart.append(given, h1, bar); score.append(h2, tally); study.append(h3, curve, train); aside.append(score, study, strip);
  let v = null, at = 0, hideTruth = false, answered = false;
  const muted = new Set(), slot = i => i - (v.has_truth ? 1 : 0), tone = i => slot(i) < 0 ? "bold" : `n${slot(i) + 1}`;
  const beneath = () => ctx.get("beneath"), by = () => ctx.get("show") === "character" ? 1 : 0;
  const W = (t, px, mono, bold) => wordWidth(ctx.root, t, px, mono, bold), signed = (x, e) => num(x) + (e === null || e === undefined ? "" : " ± " + num(e));
  const items = () => [[bar], [tally, score], [curve, study]].flatMap(([place, box]) => box && box.hidden ? [] : [...place.querySelectorAll("[role=option]")]);
  ctx.model.on("change:beneath", () => { if (v && ctx.root.isConnected) below(); });

  // one thing that the keyboard reaches: its words, what Enter does, what is drawn
  function item(said, act, kids) {
    const g = s("g", {role: "option", class: "row", "aria-label": said.map(x => x[1]).join(""), tabindex: -1, ...KEYS, onclick: () => focus(items().indexOf(g)), ondblclick: act,
      onfocus: () => { at = items().indexOf(g); roving(); if (!answered) ctx.say(said); }, onblur: () => ctx.say(v.readout)}, kids);
    g.act = act; return g;
  }
  const roving = () => items().forEach((g, k) => { g.setAttribute("tabindex", k === at ? 0 : -1); g.setAttribute("aria-selected", k === at); });
  function focus(i) { at = Math.max(0, Math.min(items().length - 1, i)); roving(); items()[at].focus(); }

  function options(width, P) {
    const S = P ? 2 : 1, px = P ? 28 : 15, note = P ? 28 : 13, n = v.columns.length, models = n - (v.has_truth ? 1 : 0), rows = v.rows;
    const thick = [0, 20, 13, 10, 8][models] * (P ? 1.5 : 1), row = Math.max(models * (thick + 2 * S) + 14 * (P ? 1.3 : 1), 36 * (P ? 1.5 : 1)), head = 32 * S;
    const names = v.columns.map(c => fitWord(ctx.root, c, Math.max(30 * S, width * .62 / n - 30 * S), note, false)), cells = names.map((c, i) => Math.max(W(c, note, false, true) + 20 * S, ...rows.map(r => W(r.shown[i], px))) + 12 * S);
    const left = Math.min(width * .34, Math.max(...rows.map(r => W(r.text, px, true, true))) + 42 * S), plot = Math.max(50, width - left - cells.reduce((a, b) => a + b, 0) - 14 * S);
    const top = ctx.get("show") === "share" ? 1 : Math.max(.05, ...rows.flatMap(r => r.values)) * 1.03, high = head + rows.length * row, out = [];
    for (const t of percentTicks(top, plot / 52 / S)) { const x = left + plot * t / top;
      out.push(line(x, head - 4, x, high, "var(--line)"), text(x, head - 10 * S, Math.round(100 * t) + NARROW + "%", {"text-anchor": "middle", class: "s"})); }
    let end = left + plot + 14 * S;
    const ends = cells.map(c => end += c);
    names.forEach((c, i) => { const x = ends[i] - W(c, note, false, true) - 10 * S, y = head - 15 * S;
      out.push(slot(i) < 0 ? rect(x - 7 * S, y - 4 * S, 11 * S, 8 * S, "none", {stroke: "var(--ink)", "stroke-width": 1.5 * S}) : shape(slot(i), x, y, 5 * S, `var(--m${slot(i) + 1})`), text(ends[i], head - 10 * S, c, {"text-anchor": "end", class: `bold ${tone(i)}`})); });
    rows.forEach((r, k) => {
      const y = head + k * row, mid = y + row / 2, tall = models * (thick + 2 * S) - 2 * S, kids = [rect(0, y + 1, end, row - 2, "transparent", {class: "hit", rx: 4})];
      if (r.right) kids.push(text(2, mid + px * .34, "✓", {class: "b"}));
      kids.push(text(left - 10 * S, mid + px * .34, fitWord(ctx.root, r.text, left - 34 * S, px), {"text-anchor": "end", class: "mono" + (r.right ? " bold" : ""), style: `font-size:${px}px`}));
      v.columns.forEach((_, i) => { const m = slot(i); if (m < 0 || muted.has(m)) return;
        const top0 = mid - tall / 2 + m * (thick + 2 * S), w = plot * Math.min(r.values[i], top) / top;
        kids.push(rect(left, top0, w, thick, `var(--m${m + 1})`, {class: "eased", "data-option": r.text, "data-column": v.columns[i], "data-value": r.values[i]}));
        if (w > 20 * S && thick >= 8) kids.push(shape(m, left + 9 * S, top0 + thick / 2, Math.min(3.4 * S, thick * .36), "var(--paper)")); });
      const t = v.has_truth && !hideTruth ? r.values[0] : 0;
      if (t > 0) { const w = Math.max(2, plot * Math.min(t, top) / top); kids.push(rect(left, mid - tall / 2 - 5 * S, w, tall + 10 * S, "none", {stroke: "var(--ink)", "stroke-width": 2 * S})); }
      v.columns.forEach((_, i) => { if (slot(i) >= 0 || !hideTruth) kids.push(text(ends[i], mid + px * .34, r.shown[i], {"text-anchor": "end", class: tone(i), style: `font-size:${px}px`})); });
      const said = [["mono", r.text], ["", r.right ? ", the right one: " : ": "], ...v.columns.flatMap((c, i) => [[slot(i) < 0 ? "b" : `m${slot(i) + 1}`, c], ["", ` ${r.shown[i]}, log-probability ${r.nats[i]} nats` + (i < v.columns.length - 1 ? "; " : ".")]])];
      out.push(item(said, null, kids));
    });
    bar.replaceChildren(s("svg", {width, height: high + 4, role: "listbox", "aria-label": "options"}, out, line(left, head - 4, left, high, "var(--ink)", 1.25 * S)));
    bar.style.minHeight = head + (P ? 0 : 4) * row + 4 + "px"; // three options leave the sheet as tall as four
  }

  function scores(width, P) {
    const b = beneath(), S = P ? 2 : 1, n = b.names.length, gap = (n > 2 ? 9 : 11) * S, row = Math.max(n * gap + (P ? 12 : 14), P ? 48 : 30), left = 62 * S, right = (n > 1 ? 74 : 68) * S, plot = Math.max(60, width - left - right), X = p => left + plot * p, high = 20 * S + row * b.rows.length, out = [];
    for (const p of [0, .5, 1]) out.push(line(X(p), 16 * S, X(p), high, "var(--line)"), text(X(p), 10 * S, 100 * p + NARROW + "%", {"text-anchor": "middle", class: "s"}));
    b.rows.forEach((r, k) => {
      const y = 20 * S + k * row, mid = y + row / 2, chosen = r.family === ctx.get("family"), found = r.models[by()], kids = [rect(0, y + 1, width, row - 2, chosen ? "var(--t1)" : "transparent", {class: "hit", rx: 4}), text(8 * S, mid + 4.5 * S, r.family, {class: chosen ? "bold" : ""})];
      found.forEach((f, i) => { if (!f || muted.has(i)) return; const c = mid + (i - (n - 1) / 2) * gap, fill = `var(--m${i + 1})`;
        kids.push(line(X(f[2]), c, X(f[3]), c, fill, 2 * S, {"data-family": r.family, "data-model": b.names[i], "data-right": f[0], "data-n": f[1]}), shape(i, X(f[0] / f[1]), c, 4.5 * S, fill)); });
      const last = found.at(-1), whole = found.every(f => f && f[1] === b.n);
      kids.push(text(width - 2, mid + 4.5 * S, last ? (whole ? num(last[0], 0) : `${num(last[0], 0)}/${last[1]}…`) : "…", {"text-anchor": "end", class: `n${n}`}));
      const said = [["b", r.family], ["", ": "], ...b.names.flatMap((c, i) => [[`m${i + 1}`, c], ["", found[i] ? ` ${found[i][0]} of ${found[i][1]} right, 95 % interval ${num(100 * found[i][2], 1)} to ${num(100 * found[i][3], 1)}` + (i < n - 1 ? "; " : ". ") : " not yet asked. "]]), ["", "Enter shows one."]];
      out.push(item(said, () => ctx.set("family", r.family), kids));
    });
    h2.replaceChildren("Right answers ", h("span", {}, P ? "" : `of ${b.n} held-out prompts a task, with 95${NARROW}% intervals`));
    tally.replaceChildren(s("svg", {width, height: high + 2, role: "listbox", "aria-label": "score of each task"}, out));
  }

  function losses(width) {
    const b = beneath(), left = 30, right = 18, low = 30, high = 150, plot = width - left - right, top = 5, X = i => left + plot * (.12 + .38 * i), Y = x => 12 + (high - 12 - low) * (1 - Math.min(x, top) / top), out = [];
    for (const x of [0, 2, 4]) out.push(line(left, Y(x), left + plot, Y(x), x ? "var(--line)" : "var(--ink)"), text(left - 8, Y(x) + 4.5, x, {"text-anchor": "end", class: "s"}));
    for (const [side, dash] of [["five", "5 4"], ["one", "none"]]) out.push(s("path", {d: "M" + b.points.map((p, i) => `${X(i)} ${Y(p[side][0])}`).join("L"), fill: "none", stroke: "var(--ink)", "stroke-width": 2, "stroke-dasharray": dash}));
    b.points.forEach((p, i) => {
      const kids = [rect(X(i) - 24, 4, 48, high - 8, "transparent", {class: "hit", rx: 4}), text(X(i), high - 10, `${p.steps} steps`, {"text-anchor": "middle", class: "s"})];
      for (const side of ["five", "one"]) { const [x, e] = p[side], y = Y(x); // its own symbol for each side, whatever the color
        kids.push(line(X(i), Y(x - e), X(i), Y(x + e), "var(--ink)", 2), s("circle", {cx: X(i), cy: y, r: 5, fill: side === "one" ? "var(--ink)" : "var(--paper)", stroke: "var(--ink)", "stroke-width": 2, "data-side": side, "data-steps": p.steps, "data-loss": x}),
          text(X(i) + 10, y + (side === "five" ? -7 : 15), num(x), {class: side === "one" ? "bold" : ""})); }
      const kinds = Object.keys(p.one_kinds).map(k => `${k} ${num(p.one_kinds[k])} and ${num(p.five_kinds[k])}`).join(", ");
      out.push(item([["b", `${p.steps} steps in all`], ["", `: one model for all `], ["b", signed(...p.one)], ["", `, five models `], ["b", signed(...p.five)], ["", ` nats a token, over ${p.seeds} seeds. One and five: ${kinds}.`]], null, kids));
    });
    b.live.forEach(([one, five], i) => { for (const [side, x] of [["one", one], ["five", five]]) out.push(s("path", {d: `M${X(0) - 14 - 5 * (i % 3)} ${Y(x) - 6}l5 6l-5 6l-5 -6z`, fill: side === "one" ? "var(--ink)" : "var(--paper)", stroke: "var(--ink)", "stroke-width": 1.5, "data-live": side, "data-loss": x})); });
    out.push(text(X(0) + 46, Y(b.points[0].five[0]) + 12, "○ a model for each task", {class: "s"}), text(X(1) + 36, Y(b.points[1].one[0]) - 34, "● one for all five", {class: "s"}));
    const live = b.live.at(-1);
    h3.replaceChildren("One model or five? ", h("span", {}, "mean loss, nats a token, at equal compute"));
    curve.replaceChildren(s("svg", {width, height: high, role: "listbox", "aria-label": "losses at equal compute"}, out),
      h("div", {class: "cap", style: {margin: "4px 0 8px"}}, b.error ? "✕ " + b.error : b.at ? `Training: step ${Math.min(b.at, b.steps)} of ${b.steps}` : live ? `◆ trained here just now, ${b.points[0].steps} steps: one ${num(live[0])}, five ${num(live[1])}` : `${b.points[0].seeds} stored runs a point · all models have the same shape, so the five keep five times the weights`));
  }

  function below() {
    const held = aside.contains(document.activeElement) && document.activeElement.getAttribute("role") === "option", keep = at, P = ctx.present(), b = beneath();
    if (!b || !b.rows) return;
    const w = room();
    scores(w, P); study.hidden = P; if (!P) losses(Math.min(w, 520));
    const p = b.points.at(-1); strip.hidden = !P; strip.textContent = P ? `One model or five, ${p.steps} steps in all: ${num(p.one[0])} and ${num(p.five[0])} nats a token.` : "";
    at = Math.min(keep, items().length - 1); roving();
    if (held) { answered = true; items()[at].focus(); answered = false; }
  }
  const full = () => Math.max(240, ctx.root.clientWidth - (ctx.present() ? 96 : 50)), two = () => full() > (ctx.present() ? 1400 : 1030);
  const room = () => two() ? Math.round(full() * .42) - (ctx.present() ? 80 : 40) : Math.min(full(), ctx.present() ? 1200 : full() > 800 ? full() / 2 - 20 : 560);

  function draw(view) {
    v = view;
    const held = bar.contains(document.activeElement), P = ctx.present();
    if (two()) cols.append(aside); else (P ? el : ctx.after).append(aside);
    score.hidden = P && !two(); given.style.minHeight = P ? "0" : "5.2em";
    aside.style.cssText = "flex:1;min-width:0;display:flex;flex-wrap:wrap;gap:calc(5*var(--u)) 40px";
    const text = [...v.prompt], gone = Math.max(0, text.length - 600); // its end is what the option goes on
    given.replaceChildren(gone ? h("span", {style: {color: "var(--ink-2)"}}, `… ${gone.toLocaleString("en-US")} characters …\n`) : "", text.slice(gone).join(""), h("span", {class: "you", "aria-label": "the gap"}, " ? "));
    given.style.maxWidth = (two() ? Math.round(full() * .58) : full()) + "px";
    h1.textContent = v.heading;
    options(two() ? Math.round(full() * .58) : full(), P); below();
    if (held) { answered = true; focus(at); answered = false; }
  }
  return {el, draw, keys: [["↑ ↓", "walk options, scores and losses"], ["n", "next prompt"], ["Enter", "on a score: show that task"], ["t", "hide or show the truth"], ["1–4", "hide or show a model"]], key(e) {
    if (e.key === "n") ctx.click("another");
    else if (e.key === "t") { hideTruth = !hideTruth; draw(v); }
    else if (/^[1-4]$/.test(e.key)) { const k = e.key - 1; muted.has(k) ? muted.delete(k) : muted.add(k); draw(v); }
    else if (e.target.getAttribute("role") !== "option") return false;
    else if (e.key === "Enter" || e.key === " ") { const act = items()[at].act; if (act) act(); }
    else { const to = step({key: {ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft"}[e.key] || e.key}, at, 0, items().length - 1); if (to === undefined) return false; focus(to); }
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
