// FusedAttention: the matrix that is never held, the tile in hand, rows of output that fill; and the roofline.
function picture(ctx) {
  const gap = n => `calc(${n}*var(--u))`, row = {display: "flex", "flex-wrap": "wrap", gap: `${gap(2)} ${gap(6)}`, "align-items": "flex-end", "margin-bottom": gap(4)};
  const h1 = h("h4"), stage = h("div", {style: {position: "relative"}}), main = h("div", {style: {flex: "none", "max-width": "100%"}}, h1, stage);
  const h2 = h("h4"), hand = h("div"), h3 = h("h4"), moved = h("div"), cap = h("div", {class: "cap secondary", style: {margin: `${gap(1)} 0 ${gap(3)}`}}), far = h("div"), off = h("div", {class: "secondary", style: {"margin-top": gap(4)}}), counters = h("div", {style: {"margin-top": gap(5)}}, h3, moved, cap, ctx.input("length").box, far, off), aside = h("div", {style: {flex: 1, "min-width": 0}}, h2, hand, counters);
  const play = ctx.input("play").box, press = play.querySelector("button"), bar = ctx.input("step"), run = h("div", {style: row}, play, bar.box), walk = h("div", {class: "cols"}, main, aside), tiles = h("div", {}, run, walk);
  const roof = roofline(ctx, () => paint());
  const el = h("div", {role: "group", "aria-label": "arrow keys step, Space plays", tabindex: 0, style: {"outline-offset": "6px"}, ...KEYS}, tiles, roof.el);
  ctx.input("prompt").box.style.flexBasis = "260px"; bar.box.style.flex = "1 1 260px"; bar.focus.style.cssText = "flex:1;width:0"; for (const k of ["layer", "head"]) ctx.input(k).focus.style.width = gap(18);
  let v = null, log = null, places = [], ends = [0, 1], playing = 0;
  const now = () => Math.max(0, Math.min(v.steps.length, ctx.get("step")));

  const last = i => v.steps[i + 1]?.[0] !== v.steps[i][0]; // of its rows
  const output = i => log.subarray(places[i].output, places[i].output + (v.steps[i][1] - v.steps[i][0]) * v.width);

  function unpack() {
    log = floats(ctx.get("_log")); places = []; let at = 0;
    for (const [a, b, c, d] of v.steps) { const t = b - a; places.push({max: at, sum: at + t, rescale: at + 2 * t, weights: at + 3 * t, output: at + t * (3 + d - c)}); at += t * (3 + d - c + v.width); }
    const all = v.steps.flatMap((_, i) => last(i) ? [...output(i)] : []); ends = [Math.min(...all), Math.max(...all)];
  }

  function outputs(style) { // rows in hand as they stand: a later tile paints over an earlier one
    const E = v.width, tile = h("canvas", {width: E, height: v.tokens.length, "aria-hidden": "true", style: {position: "absolute", "image-rendering": "pixelated", ...style}}), c = tile.getContext("2d");
    v.steps.slice(0, now()).forEach(([a], i) => output(i).forEach((x, k) => { c.fillStyle = cividis((x - ends[0]) / (ends[1] - ends[0] || 1)); c.fillRect(k % E, a + Math.floor(k / E), 1, 1); }));
    return tile;
  }

  function matrix(W, room, P, S) {
    const T = v.tokens.length, n = now(), body = P ? 28 : 13, x0 = Math.min(W * .24, Math.max(60 * S, ...v.tokens.map(t => wordWidth(ctx.root, t, body, true, true))) + 12 * S), top = 24 * S;
    const A = Math.min(W - x0 - 112 * S, Math.max(T, 7) * 26 * S, P ? 380 : 430, Math.max(room - top - 4, T * 15 * S, 180)), cell = A / T, every = cell >= body * 1.1, xo = x0 + A + 18 * S, w = Math.min(W - xo - 4 * S, 200 * S), H = hatch("var(--line)", 7 * S);
    const here = n ? v.steps[n - 1] : null, parts = [H.def, text(x0, top - 8 * S, "keys →", {class: "s"}), text(xo, top - 8 * S, "output", {class: "s"})];
    parts.push(s("path", {d: `M${x0} ${top}H${x0 + A}V${top + A}` + Array.from({length: T}, (_, i) => `H${x0 + (T - i) * cell}V${top + (T - 1 - i) * cell}`).join("") + "z", fill: H.fill}));
    v.steps.forEach(([a, b, c, d], i) => { const done = i < n - 1;
      for (let r = a; r < b; r++) { const to = Math.min(d, r + 1); if (to <= c) continue;
        if (i !== n - 1) parts.push(rect(x0 + c * cell, top + r * cell, (to - c) * cell, cell + .3, done ? "var(--t3)" : "var(--paper)"));
        else for (let k = c; k < to; k++) { const x = log[places[i].weights + (r - a) * (d - c) + k - c]; parts.push(rect(x0 + k * cell, top + r * cell, cell + .3, cell + .3, cividis(x), {"data-w": x, "data-r": r, "data-k": k})); } } });
    for (let r = v.tile; r < T; r += v.tile) parts.push(line(x0, top + r * cell, x0 + A, top + r * cell, "var(--edge)", S * .75), line(x0 + r * cell, top, x0 + r * cell, top + A, "var(--edge)", S * .75));
    parts.push(rect(x0, top, A, A, "none", {stroke: "var(--edge)", "stroke-width": S}), rect(xo, top, w, A, "none", {stroke: "var(--line)", "stroke-width": S}));
    if (here) for (const [width, stroke] of [[7, "var(--paper)"], [3, "var(--ink)"]]) { const [a, b, c, d] = here, frame = (x, w, more) => parts.push(rect(x, top + a * cell, w, (b - a) * cell, "none", {stroke, "stroke-width": width * S, ...more})); frame(x0 + c * cell, (d - c) * cell); frame(xo, w, width < 7 && !last(n - 1) && {"stroke-dasharray": `${6 * S} ${4 * S}`}); }
    const first = here ? here[0] : 0;
    v.tokens.forEach((t, i) => { const mine = here && i >= here[0] && i < here[1]; if (every || i === first) parts.push(text(x0 - 8 * S, top + (i + .5) * cell + body * .35, fitWord(ctx.root, t, x0 - 10 * S, body), {"text-anchor": "end", class: "mono " + (mine ? "bold" : "s")})); });
    return [outputs({left: xo + "px", top: top + "px", width: w + "px", height: A + "px"}), s("svg", {width: x0 + A + 20 * S + w, height: top + A + 4 * S, style: "position:relative", role: "img", "aria-label": `tile ${n} of ${v.steps.length}` + (here ? `: rows from ${here[0]}, columns from ${here[2]}` : "")}, parts)];
  }

  function inHand(P) {
    const n = now() - 1;
    if (n < 0) return h("div", {class: "empty"}, "no tile yet: Play, or →");
    const [a, b, c] = v.steps[n], p = places[n], most = P ? 3 : 8, rows = v.tokens.slice(a, Math.min(b, a + most)), x = (part, i, digits) => h("td", {["data-" + part]: log[p[part] + i]}, part === "rescale" && !c ? "–" : num(log[p[part] + i], digits));
    return h("table", {}, h("thead", {}, h("tr", {}, [b - a > most ? `${most} of ${b - a} rows` : "row", ...(P ? ["max m", "×", "sum l"] : ["largest score m", "rescaled ×", "sum l"])].map(t => h("th", {}, t)))),
      h("tbody", {}, rows.map((t, i) => h("tr", {"data-row": a + i}, h("td", {class: "mono"}, fitWord(ctx.root, t, P ? 200 : 100, P ? 30 : 15)), x("max", i, 2), x("rescale", i, 3), x("sum", i, 3)))));
  }
  const little = x => x == null ? "–" : x < 1e-5 ? "below 0.00001" : num(x, x < .01 ? 5 : 3);

  function paintTiles(W, P, S, wide) {
    const n = now(), left = wide ? W * (P ? .52 : .57) : W, right = wide ? W - left - (P ? 80 : 40) : W, so = n === v.steps.length ? v.moved[1] : n ? v.steps[n - 1][4] : [0, "0"];
    main.style.width = left + "px"; run.style.marginTop = gap(P ? 0 : -3); settle(aside, wide ? walk : ctx.after);
    h1.replaceChildren("Scores ", h("span", {}, P ? "seen a tile at a time" : "seen a tile at a time, and forgotten"));
    stage.replaceChildren(P ? "" : h("div", {style: {"margin-top": gap(3)}}, scaleBar(150, ["0", "1"], "exp(score − m); output: low to high")));
    stage.prepend(...matrix(left, P || !wide ? ctx.room(walk, 0, 1e4) - main.offsetHeight : 430, P, S));
    h2.replaceChildren("In hand ", h("span", {}, P ? "" : "all that is kept of these rows’ scores")); hand.style.minHeight = (P ? 60 : 38) * (Math.min(P ? 3 : 8, v.tile) + 1) + "px"; hand.replaceChildren(inHand(P));
    h3.replaceChildren("Bytes moved ", h("span", {}, P ? "" : "between slow and fast memory"));
    const pair = (home, naive, tiled, most, word) => { Object.assign(home.dataset, {naive: naive[0], tiled: tiled[0]});
      home.replaceChildren(bars([["naive", naive, 2], [word, tiled, 1]].map(([label, [value, shown], m]) => ({label, value, shown, fill: `var(--m${m})`, tone: "n" + m, strong: true})), {width: right, max: Math.max(naive[0], most[0]), left: 114 * S, right: 88 * S, step: P ? 46 : 30, label: `bytes moved: naive ${naive[1]}, tiled ${tiled[1]}`})); };
    pair(moved, v.moved[0], so, v.moved[1], "tiled, so far"); pair(far, ...v.long, v.long[1], "tiled"); far.hidden = P;
    cap.replaceChildren(v.kernels);
    const [here, done] = n ? v.steps[n - 1].slice(5) : [];
    off.replaceChildren(h("h4", {}, "Largest difference from naive"), "finished rows ", h("b", {"data-done": done ?? ""}, little(done)), ", rows in hand ", h("b", {"data-here": here ?? ""}, little(here)));
  }

  // on a narrow page what stands aside goes after the readout; what is in place is not moved: it would lose hand and focus
  const settle = (part, home) => { if (part.parentNode !== home) home.append(part); };

  function paint() {
    if (!v) return;
    const P = ctx.present(), S = P ? 2 : 1, W = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), wide = W > (P ? 1300 : 880), roofs = ctx.get("show") === "roofline";
    bar.focus.max = bar.spec.max = v.steps.length; bar.spec.suffix = ` of ${v.steps.length}`; bar.show(now());
    tiles.hidden = roofs; roof.el.hidden = !roofs; for (const k of ["prompt", "layer", "head", "tile"]) ctx.input(k).box.hidden = roofs; (roofs ? aside : roof.table).remove();
    if (!roofs) return paintTiles(W, P, S, wide);
    settle(roof.table, wide ? roof.el : ctx.after); roof.draw(v, wide ? W * (P ? .54 : .58) : W, P ? wide ? 480 : 330 : 380, P, S);
  }
  function draw(view) { if (!view.steps) return; v = view; unpack(); paint(); }
  const go = k => { const to = Math.max(0, Math.min(v.steps.length, k)); if (to !== now()) ctx.set("step", to); return to; };
  const stop = () => { clearInterval(playing); playing = 0; press.textContent = "▶ Play"; };
  function toggle() {
    if (playing) return stop();
    go(now() >= v.steps.length ? 0 : now() + 1);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    press.textContent = "❚❚ Pause"; playing = setInterval(() => { if (!el.isConnected || go(now() + 1) >= v.steps.length) stop(); }, 400);
  }
  ctx.model.on("change:step", paint);
  return {el, draw, keys: [["← →", "one tile, or kernel"], ["↑ ↓", "a row of tiles"], ["Home End", "to the ends"], ["Space", "play or pause"]],
    click(name) { if (name === "play") { toggle(); return true; } stop(); if (name === "measure") roof.measure(); return false; },
    key(e) {
      if (/INPUT|BUTTON/.test(e.target.tagName)) return false;
      if (ctx.get("show") === "roofline") return roof.key(e);
      const n = now(), N = v.steps.length, rows = [0, ...v.steps.map((_, i) => last(i) ? i + 1 : 0)];
      const to = e.key === "ArrowDown" ? rows.find(i => i > n) ?? N : e.key === "ArrowUp" ? Math.max(...rows.filter(i => i < n), 0) : step(e, n, 0, N);
      if (e.key === " ") toggle(); else if (to !== undefined) { stop(); go(to); } else return false;
      return true;
    }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
