// FusedAttention: the matrix that is never held, the tile in hand, rows of output that fill; and the roofline.
function picture(ctx) {
  const gap = n => `calc(${n}*var(--u))`, row = {display: "flex", "flex-wrap": "wrap", gap: `${gap(2)} ${gap(6)}`, "align-items": "flex-end", "margin-bottom": gap(4)};
  const h1 = h("h4"), stage = h("div", {style: {position: "relative"}}), main = h("div", {style: {flex: "none", "max-width": "100%"}}, h1, stage);
  const h2 = h("h4"), hand = h("div"), h3 = h("h4"), moved = h("div"), cap = h("div", {class: "cap secondary", style: {margin: `${gap(1)} 0 ${gap(3)}`}}), far = h("div"), off = h("div", {class: "secondary", style: {"margin-top": gap(4)}}), counters = h("div", {style: {"margin-top": gap(5)}}, h3, moved, cap, ctx.input("length").box, far, off), aside = h("div", {style: {flex: 1, "min-width": 0}}, h2, hand, counters);
  const run = h("div", {style: row}, ctx.input("play").box, ctx.input("step").box), walk = h("div", {class: "cols"}, main, aside), tiles = h("div", {}, run, walk);
  const h5 = h("h4"), chart = h("div"), h6 = h("h4"), list = h("div", {role: "listbox", "aria-label": "kernels"}), plot = h("div", {style: {flex: "none", "max-width": "100%"}}, h5, chart), table = h("div", {style: {flex: 1, "min-width": 0}}, h6, list, ctx.input("measure").box), under = h("div", {class: "cols"}, plot, table);
  const el = h("div", {role: "group", "aria-label": "arrow keys step, Space plays", tabindex: 0, style: {"outline-offset": "6px"}, ...KEYS}, tiles, under);
  const play = ctx.input("play").box.querySelector("button"), measure = ctx.input("measure").box.querySelector("button"), bar = ctx.input("step");
  ctx.input("prompt").box.style.flexBasis = "260px"; bar.box.style.flex = "1 1 260px"; bar.focus.style.cssText = "flex:1;width:0"; for (const k of ["layer", "head"]) ctx.input(k).focus.style.width = gap(18); ctx.input("measure").box.style.cssText = "align-items:flex-start";
  let v = null, log = null, places = [], playing = 0, chosen = 6, measuring = false;
  const now = () => Math.max(0, Math.min(v.steps.length, ctx.get("step")));

  function unpack() {
    log = floats(ctx.get("_log")); places = []; let at = 0;
    for (const [a, b, c, d] of v.steps) { const t = b - a, output = at + t * (3 + d - c); places.push({max: at, sum: at + t, rescale: at + 2 * t, weights: at + 3 * t, output}); at = output + t * v.width; }
  }
  const last = i => v.steps[i + 1]?.[0] !== v.steps[i][0]; // of its rows

  function outputs(w, height, S) {
    const T = v.tokens.length, E = v.width, n = now(), tile = h("canvas", {width: E, height: T, "aria-hidden": "true", class: "out", style: {width: w + "px", height: height + "px", display: "block", "image-rendering": "pixelated"}}), c = tile.getContext("2d"), image = c.createImageData(E, T);
    let low = Infinity, high = -Infinity, rows = 0;
    v.steps.forEach(([a, b], i) => { if (last(i)) for (let k = 0; k < (b - a) * E; k++) { const x = log[places[i].output + k]; low = Math.min(low, x); high = Math.max(high, x); } });
    v.steps.slice(0, n).forEach(([a, b], i) => { if (last(i)) rows = b; if (last(i) || i === n - 1) for (let k = 0; k < (b - a) * E; k++) image.data.set([...CIVIDIS[Math.round(255 * Math.max(0, Math.min(1, (log[places[i].output + k] - low) / (high - low || 1))))], 255], 4 * (a * E + k)); });
    c.putImageData(image, 0, 0); tile.dataset.rows = rows;
    return tile;
  }

  function matrix(W, P, S) {
    const T = v.tokens.length, n = now(), body = P ? 28 : 13, x0 = Math.min(W * .24, Math.max(60 * S, ...v.tokens.map(t => wordWidth(ctx.root, t, body, true, true))) + 12 * S), top = 24 * S;
    const A = Math.min(W - x0 - 112 * S, Math.max(T, 7) * 26 * S, P ? 380 : 430), cell = A / T, every = cell >= body * 1.1, xo = x0 + A + 18 * S, w = Math.min(W - xo - 4 * S, 200 * S), H = hatch("var(--line)", 7 * S);
    const here = n ? v.steps[n - 1] : null, parts = [H.def, text(x0, top - 8 * S, "keys →", {class: "s"}), text(xo, top - 8 * S, "output", {class: "s"})];
    parts.push(s("path", {d: `M${x0} ${top}H${x0 + A}V${top + A}` + Array.from({length: T}, (_, i) => `H${x0 + (T - i) * cell}V${top + (T - 1 - i) * cell}`).join("") + "z", fill: H.fill}));
    v.steps.forEach(([a, b, c, d], i) => { const done = i < n - 1;
      for (let r = a; r < b; r++) { const to = Math.min(d, r + 1); if (to <= c) continue;
        if (i !== n - 1) parts.push(rect(x0 + c * cell, top + r * cell, (to - c) * cell, cell + .3, done ? "var(--t3)" : "var(--paper)"));
        else for (let k = c; k < to; k++) { const x = log[places[i].weights + (r - a) * (d - c) + k - c]; parts.push(rect(x0 + k * cell, top + r * cell, cell + .3, cell + .3, cividis(x), {"data-w": x, "data-r": r, "data-k": k})); } } });
    for (let r = v.tile; r < T; r += v.tile) parts.push(line(x0, top + r * cell, x0 + A, top + r * cell, "var(--edge)", S * .75), line(x0 + r * cell, top, x0 + r * cell, top + A, "var(--edge)", S * .75));
    parts.push(rect(x0, top, A, A, "none", {stroke: "var(--edge)", "stroke-width": S}), rect(xo, top, w, A, "none", {stroke: "var(--line)", "stroke-width": S}));
    if (here) { const [a, b, c, d] = here; for (const [width, stroke] of [[7, "var(--paper)"], [3, "var(--ink)"]]) { const frame = (x, w, more) => parts.push(rect(x, top + a * cell, w, (b - a) * cell, "none", {stroke, "stroke-width": width * S, ...more})); frame(x0 + c * cell, (d - c) * cell); frame(xo, w, width < 7 && !last(n - 1) && {"stroke-dasharray": `${6 * S} ${4 * S}`}); } }
    const first = here ? here[0] : 0;
    v.tokens.forEach((t, i) => { const mine = here && i >= here[0] && i < here[1]; if (every || i === first) parts.push(text(x0 - 8 * S, top + (i + .5) * cell + body * .35, fitWord(ctx.root, t, x0 - 10 * S, body), {"text-anchor": "end", class: "mono " + (mine ? "bold" : "s")})); });
    const strip = outputs(w, A, S); strip.style.position = "absolute"; strip.style.left = xo + "px"; strip.style.top = top + "px";
    return [strip, s("svg", {width: x0 + A + 20 * S + w, height: top + A + 4 * S, style: "position:relative", role: "img", "aria-label": `tile ${n} of ${v.steps.length}` + (here ? `: rows from ${here[0]}, columns from ${here[2]}` : "")}, parts)];
  }

  function inHand(P) {
    const n = now();
    if (!n) return h("div", {class: "empty"}, "no tile yet: Play, or →");
    const [a, b, c] = v.steps[n - 1], p = places[n - 1], most = P ? 3 : 8, rows = v.tokens.slice(a, Math.min(b, a + most)), x = (part, i, digits) => h("td", {["data-" + part]: log[p[part] + i]}, part === "rescale" && !c ? "–" : num(log[p[part] + i], digits));
    return h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, b - a > most ? `${most} of ${b - a} rows` : "row"), h("th", {}, P ? "max m" : "largest score m"), h("th", {}, P ? "×" : "rescaled ×"), h("th", {}, P ? "sum l" : "sum l of exp(score − m)"))),
      h("tbody", {}, rows.map((t, i) => h("tr", {"data-row": a + i}, h("td", {class: "mono"}, fitWord(ctx.root, t, P ? 200 : 100, P ? 30 : 15)), x("max", i, 2), x("rescale", i, 3), x("sum", i, 3)))));
  }
  const little = x => x === null ? "–" : x < 1e-5 ? "below 0.00001" : num(x, x < .01 ? 5 : 3);

  function paintTiles(W, P, S, wide) {
    const n = now(), left = wide ? W * (P ? .52 : .57) : W, right = wide ? W - left - (P ? 80 : 40) : W, so = n === v.steps.length ? v.moved[1] : n ? v.steps[n - 1][4] : [0, "0"];
    main.style.width = left + "px"; run.style.marginTop = gap(P ? 0 : -3); (wide ? walk : ctx.after).append(aside);
    h1.replaceChildren("Scores ", h("span", {}, P ? "seen a tile at a time" : "seen a tile at a time, and forgotten"));
    stage.replaceChildren(...matrix(left, P, S), P ? "" : h("div", {style: {"margin-top": gap(3)}}, scaleBar(150, ["0", "1"], "exp(score − m); output: low to high")));
    h2.replaceChildren("In hand ", h("span", {}, P ? "" : "all that is kept of these rows’ scores")); hand.style.minHeight = (P ? 60 : 38) * (Math.min(P ? 3 : 8, v.tile) + 1) + "px"; hand.replaceChildren(inHand(P));
    h3.replaceChildren(P ? "Bytes moved" : "Bytes moved ", h("span", {}, P ? "" : "between slow and fast memory"));
    const pair = (home, naive, tiled, other, word) => { home.dataset.naive = naive[0]; home.dataset.tiled = tiled[0]; const one = ([value, shown], label, m) => ({label, value, shown, fill: `var(--m${m})`, tone: "n" + m, strong: true});
      home.replaceChildren(bars([one(naive, "naive", 2), one(tiled, word, 1)], {width: right, max: Math.max(naive[0], other[0]), left: 114 * S, right: 88 * S, step: P ? 46 : 30, label: `bytes moved: naive ${naive[1]}, tiled ${tiled[1]}`})); };
    pair(moved, v.moved[0], so, v.moved[1], "tiled, so far"); pair(far, v.long[0], v.long[1], v.long[1], "tiled"); far.hidden = P;
    cap.replaceChildren(v.kernels);
    const [here, done] = n ? v.steps[n - 1].slice(5) : [null, null];
    off.replaceChildren(h("h4", {}, "Largest difference from naive"), "finished rows ", h("b", {"data-done": done ?? ""}, little(done)), ", rows in hand ", h("b", {"data-here": here ?? ""}, little(here)));
  }

  // log-log: FLOPs per byte across, FLOP/s up; the roof is a limit, and so a line in ink
  function roofline(W, H, P, S) {
    const [name, peak, bandwidth, ridge] = v.roof, all = v.placed.flatMap(p => [p[2], p[3] || p[2]]), lo = 10 ** Math.floor(Math.log10(Math.min(...all) / 1.5)), hi = 10 ** Math.ceil(Math.log10(peak * 1.5)), l = 92 * S, r = 14 * S, t = 34 * S, b = H - 52 * S;
    const X = i => l + (W - l - r) * Math.log2(i / .25) / 12, Y = f => b - (b - t) * Math.log10(f / lo) / Math.log10(hi / lo), unit = f => f >= 1e12 ? f / 1e12 + NARROW + "T" : f >= 1e9 ? f / 1e9 + NARROW + "G" : f / 1e6 + NARROW + "M", parts = [];
    for (let i = 1; i <= 1024; i *= 4) parts.push(line(X(i), t, X(i), b, "var(--line)"), text(X(i), b + 18 * S, i.toLocaleString("en-US"), {"text-anchor": "middle", class: "s"}));
    for (let f = lo; f < hi * 1.01; f *= 10) parts.push(line(l, Y(f), W - r, Y(f), "var(--line)"), text(l - 8 * S, Y(f) + 4 * S, unit(f), {"text-anchor": "end", class: "s"}));
    parts.push(text((l + W - r) / 2, H - 12 * S, "FLOPs per byte", {"text-anchor": "middle", class: "s"}), text(l - 8 * S, 14 * S, "FLOP/s", {"text-anchor": "end", class: "s"}));
    const from = Math.max(.25, lo / bandwidth);
    parts.push(s("path", {d: `M${X(from)} ${Y(from * bandwidth)}L${X(ridge)} ${Y(peak)}H${W - r}`, fill: "none", stroke: "var(--ink)", "stroke-width": 2.5 * S}), line(X(ridge), Y(peak), X(ridge), b, "var(--edge)", 1.25 * S, {"stroke-dasharray": `${5 * S} ${4 * S}`}), text(X(ridge) - 6 * S, b - 8 * S, `ridge ${num(ridge, 0)}`, {"text-anchor": "end", class: "bold"}));
    v.placed.forEach(([k, i, roof, real], j) => { const on = j === chosen, y = Y(real || roof), up = real ? "037".includes(j) : j % 2;
      if (real) parts.push(line(X(i), Y(roof), X(i), y, "var(--m1)", 1.5 * S));
      parts.push(s("circle", {cx: X(i), cy: y, r: (on ? 8 : 6) * S, fill: real ? "var(--m1)" : "var(--paper)", stroke: on ? "var(--ink)" : "var(--m1)", "stroke-width": 2.5 * S, "data-dot": k, "data-y": real || roof}), text(X(i) + (up ? -9 : 10) * S, y + (real ? 5 : up ? -9 : 18) * S, j + 1, {class: "n1 bold", "text-anchor": up ? "end" : "start"})); });
    return s("svg", {width: W, height: H, role: "img", "aria-label": `roofline of ${name}: ridge at ${num(ridge, 0)} FLOPs per byte`, "data-ridge": ridge}, parts);
  }
  function paintRoof(W, P, S, wide) {
    const left = wide ? W * (P ? .54 : .58) : W, real = v.roof[4], small = P && !wide;
    plot.style.width = left + "px"; (wide ? under : ctx.after).append(table);
    h5.replaceChildren(`The roof of ${real ? "this machine" : "an " + v.roof[0]} `, h("span", {}, P ? "" : real ? "line: attainable; dots: measured" : "line: attainable, by its data sheet"));
    chart.replaceChildren(roofline(left, small ? 330 : P ? 480 : 380, P, S));
    h6.replaceChildren("Kernels ", h("span", {}, real ? "FLOPs per byte · FLOP/s of attainable" : "FLOPs per byte · attainable FLOP/s")); h6.hidden = P;
    list.replaceChildren(...v.placed.map(([k, i, roof, is, shown, speed], j) => h("div", {role: "option", "aria-selected": String(j === chosen), tabindex: -1, ...KEYS, "data-kernel": k, "data-intensity": i, "data-attainable": roof, "data-measured": is ?? "", onclick: () => pick(j),
      style: {display: "grid", "grid-template-columns": `1.5em 1fr max-content ${real && !P ? 9 : 5}em`, gap: gap(2), padding: gap(P ? 0 : 1.25), "border-top": j ? "1px solid var(--line)" : "", outline: j === chosen ? "var(--stroke) solid var(--ink)" : "none", "text-align": "right", "white-space": "nowrap"}},
      h("b", {class: "n1"}, j + 1), h("span", {style: {"text-align": "left", overflow: "hidden", "text-overflow": "ellipsis"}}, k), h("b", {}, shown), h("span", {}, speed[P ? 1 : 0]))));
    measure.textContent = measuring ? "Measuring…" : real ? "Measure again" : "Measure this machine"; measure.disabled = measuring;
  }
  function pick(j) { chosen = Math.max(0, Math.min(v.placed.length - 1, j)); paint(); ctx.say(v.placed[chosen][6]); }

  function paint() {
    if (!v) return;
    const P = ctx.present(), S = P ? 2 : 1, W = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), wide = W > (P ? 1300 : 880), roof = ctx.get("show") === "roofline";
    bar.focus.max = bar.spec.max = v.steps.length; bar.spec.suffix = ` of ${v.steps.length}`; bar.show(now());
    tiles.hidden = roof; under.hidden = !roof; for (const k of ["prompt", "layer", "head", "tile"]) ctx.input(k).box.hidden = roof; (roof ? aside : table).remove();
    if (roof) paintRoof(W, P, S, wide); else paintTiles(W, P, S, wide);
  }
  function draw(view) { if (!view.steps) return; v = view; measuring = measuring && ctx.model.get("_busy"); unpack(); paint(); }
  const go = k => { const to = Math.max(0, Math.min(v.steps.length, k)); if (to !== now()) ctx.set("step", to); return to; };
  const stop = () => { clearInterval(playing); playing = 0; play.textContent = "▶ Play"; };
  function toggle() {
    if (playing) return stop();
    go(now() >= v.steps.length ? 0 : now() + 1);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    play.textContent = "❚❚ Pause"; playing = setInterval(() => { if (!el.isConnected || go(now() + 1) >= v.steps.length) stop(); }, 400);
  }
  ctx.model.on("change:step", paint);
  return {el, draw, keys: [["← →", "one tile, or kernel"], ["↑ ↓", "a row of tiles"], ["Home End", "to the ends"], ["Space", "play or pause"]],
    click(name) { if (name === "play") { toggle(); return true; } stop(); if (name === "measure") { measuring = true; paint(); } return false; },
    key(e) {
      if (e.target.tagName === "INPUT" || e.target.tagName === "BUTTON") return false;
      const n = now(), N = v.steps.length, rows = [0, ...v.steps.map((_, i) => last(i) ? i + 1 : 0)];
      if (ctx.get("show") === "roofline") { const to = step(e, chosen, 0, v.placed.length - 1, /Up|Down/.test(e.key) ? -1 : 1); if (to === undefined) return false; pick(to); return true; }
      const to = e.key === "ArrowDown" ? rows.find(i => i > n) ?? N : e.key === "ArrowUp" ? Math.max(...rows.filter(i => i < n), 0) : step(e, n, 0, N);
      if (e.key === " ") toggle(); else if (to !== undefined) { stop(); go(to); } else return false;
      return true;
    }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
