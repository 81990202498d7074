// AnyToken: a picture whose sky is drawn by hand and whose water by the model, a flight over it, and the row of ids.
function picture(ctx) {
  const left = h("div", {style: {flex: "none", "max-width": "100%"}}), right = h("div", {style: {flex: 1, "min-width": 0}}), el = h("div", {class: "cols"}, left, right);
  const head = h("h4"), place = h("div", {style: {position: "relative"}}), title = h("h4"), rows = h("div"), lossHead = h("h4", {style: {"margin-top": "calc(4*var(--u))"}}), losses = h("div");
  left.append(head, place); right.append(title, rows, lossHead, losses);
  const N = 4, SIDE = 6, PX = 24;
  let v = null, at = 0, lit = null, cellsAt = [];

  function image() { // one pixel a pixel; the page enlarges it without smoothing
    const c = document.createElement("canvas"), data = bytes(v.pixels); c.width = c.height = PX;
    const out = c.getContext("2d").createImageData(PX, PX);
    for (let i = 0; i < PX * PX; i++) { for (let k = 0; k < 3; k++) out.data[4 * i + k] = data[3 * i + k]; out.data[4 * i + 3] = 255; }
    c.getContext("2d").putImageData(out, 0, 0);
    return c;
  }
  function cycle(cell, by) {
    if (cell >= 8) return;
    const sky = [...ctx.get("sky")]; sky[cell] = (sky[cell] + by + 7) % 7;
    ctx.set("sky", sky);
  }
  function show(token) { lit = token; overlay(); ctx.say(token ? [["b", `Token ${v.tokens.indexOf(token)}`], ["", ": " + token.said + "."]] : v.readout); }

  let size = 0, svg = null;
  function overlay() {
    const w = size / N, xy = ([x, y]) => [(x + 1) / 2 * size, (1 - y) / 2 * size];
    const parts = [];
    for (let i = 1; i < N; i++) parts.push(line(i * w, 0, i * w, size, "#fff", 1, {opacity: .45}), line(0, i * w, size, i * w, "#fff", i === 2 ? 3 : 1, {opacity: i === 2 ? .9 : .45}));
    const box = (cell, stroke, width, more = {}) => rect(cell % N * w + 3, Math.floor(cell / N) * w + 3, w - 6, w - 6, "none", {stroke, "stroke-width": width, ...more});
    for (const cell of v.blank) parts.push(rect(cell % N * w, Math.floor(cell / N) * w, w, w, "var(--t2)"), line(cell % N * w, Math.floor(cell / N) * w, cell % N * w + w, Math.floor(cell / N) * w + w, "var(--edge)", 2));
    for (const cell of v.wrong) { const x = cell % N * w + w - 16, y = Math.floor(cell / N) * w + 22; parts.push(text(x, y, "✕", {"text-anchor": "middle", class: "b", style: "fill:#fff;stroke:#212121;stroke-width:3px;paint-order:stroke"})); }
    if (v.goal >= 0) parts.push(box(v.goal, "#fff", 6), box(v.goal, "#212121", 3));
    if (v.path.length) {
      const d = v.path.map(xy).map(([x, y], i) => (i ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1)).join("");
      parts.push(s("path", {d, fill: "none", stroke: "#fff", "stroke-width": 8, "stroke-linejoin": "round"}), s("path", {d, fill: "none", stroke: "#0072B2", "stroke-width": 4, "stroke-linejoin": "round", "data-path": JSON.stringify(v.path)}));
      v.path.forEach((p, i) => { const [x, y] = xy(p), r = i === v.path.length - 1 ? 9 : 5; parts.push(s("circle", {cx: x, cy: y, r, fill: "#0072B2", stroke: "#fff", "stroke-width": 2.5})); });
      if (lit && lit.leg >= 0) { const [a, b] = [xy(v.path[lit.leg]), xy(v.path[lit.leg + 1])]; parts.push(line(...a, ...b, "#F0E442", 5)); }
    }
    if (lit && lit.cell >= 0) parts.push(box(lit.cell, "#212121", 7), box(lit.cell, "#F0E442", 4));
    svg.replaceChildren(...parts);
  }

  function sky(P) {
    const full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50));
    size = Math.round(P ? Math.min(full, ctx.room(el, 300, 520) - 70) : Math.min(full, 360));
    const small = image();
    const shown = canvas(size, size, c => { c.imageSmoothingEnabled = false; c.drawImage(small, 0, 0, size, size); }, {"aria-hidden": "true"});
    svg = s("svg", {width: size, height: size, "aria-hidden": "true", style: "position:absolute;left:0;top:0;pointer-events:none"});
    const grid = h("div", {role: "grid", "aria-label": "the picture; Enter changes a square of the sky", style: {position: "absolute", inset: 0, display: "grid", "grid-template-rows": `repeat(${N}, 1fr)`}});
    cellsAt = [];
    for (let r = 0; r < N; r++) grid.append(h("div", {role: "row", style: {display: "grid", "grid-template-columns": `repeat(${N}, 1fr)`}}, Array.from({length: N}, (_, c) => {
      const i = r * N + c, what = i < 8 ? v.sky[i] : v.blank.includes(i) ? "no patch" : v.wrong.includes(i) ? "water, not the reflection" : "water, the reflection";
      return cellsAt[i] = h("div", {role: "gridcell", tabindex: i === at ? 0 : -1, ...KEYS, "data-cell": i, "aria-label": `row ${r}, column ${c}: ${what}`, style: {cursor: i < 8 ? "pointer" : "default"},
        onclick: e => { at = i; cycle(i, e.shiftKey ? -1 : 1); cellsAt[i].focus({preventScroll: true}); }, onfocus: () => { at = i; }});
    })));
    place.style.width = place.style.height = size + "px";
    place.replaceChildren(shown, svg, grid);
    head.replaceChildren("The picture ", h("span", {}, P ? "" : "sky: yours, click a square; water: the model’s"));
    overlay();
    return small;
  }

  function strip(P, small) {
    const chip = P ? 44 : 30, groups = [[1, 9, "sky"], [9, 17, "water"], [17, 21, "words"], [21, 27, "moves"]];
    title.replaceChildren("One row of ids ", h("span", {}, P ? "" : "blue: written by the model"));
    const tokens = v.tokens.slice(1), strip = tokenStrip(tokens.map(t => t.text), {label: "the row of tokens", onselect: i => show(tokens[i])});
    strip.items.forEach((item, i) => {
      const t = tokens[i], top = t.kind === "patch" ? canvas(chip, chip, c => { c.imageSmoothingEnabled = false; c.drawImage(small, t.cell % N * SIDE, Math.floor(t.cell / N) * SIDE, SIDE, SIDE, 0, 0, chip, chip); }, {"aria-hidden": "true"})
        : h("span", {style: {height: chip + "px", display: "flex", "align-items": "center"}}, t.text);
      item.replaceChildren(top, h("span", {style: {"font-size": "var(--note)", "font-weight": t.by === "model" ? 700 : 400}}, String(t.id)));
      item.style.cssText = `display:inline-flex;flex-direction:column;align-items:center;padding:2px 4px;height:auto;line-height:1.25;margin:0 3px 4px 0;border-bottom-color:${t.by === "model" ? "var(--m1)" : "var(--edge)"}`;
      item.dataset.id = t.id; item.dataset.by = t.by; item.setAttribute("aria-label", t.said);
      item.addEventListener("focus", () => show(t)); item.addEventListener("blur", () => show(null));
    });
    const named = !P || ctx.root.clientWidth > 1200;
    strip.el.style.cssText = `display:grid;grid-template-columns:${named ? "max-content " : ""}minmax(0,1fr);gap:2px 12px;align-items:center`;
    strip.el.replaceChildren(...groups.flatMap(([a, b, name]) => [...(named ? [h("span", {class: "cap", "aria-hidden": "true"}, name)] : []), h("span", {style: {display: "flex", "flex-wrap": "wrap"}}, strip.items.slice(a - 1, b - 1))]));
    rows.replaceChildren(strip.el);
  }

  function lossBars(P) {
    const width = Math.max(260, Math.min(P ? 900 : 560, right.clientWidth || 560)), left = P ? 150 : 76, step = P ? 52 : 28, rightRoom = P ? 230 : 110, top = Math.max(...v.losses.map(k => Math.max(k.loss, k.floor))), scale = (width - left - rightRoom) / top;
    lossHead.replaceChildren("Loss ", h("span", {}, "nats a token; outline: the floor"));
    losses.replaceChildren(s("svg", {width, height: v.losses.length * step, role: "img", "aria-label": v.losses.map(k => `${k.name} ${k.shown}`).join(", ")}, v.losses.flatMap((k, i) => {
      const y = i * step, hgt = step - (P ? 16 : 10);
      return [text(left - 10, y + step * .62, k.name, {"text-anchor": "end", class: "big"}), rect(left, y + 4, k.loss * scale, hgt, "var(--m1)", {"data-loss": k.loss}),
        rect(left, y + 4, k.floor * scale, hgt, "none", {stroke: "var(--paper)", "stroke-width": P ? 8 : 5}), rect(left, y + 4, k.floor * scale, hgt, "none", {stroke: "var(--ink)", "stroke-width": P ? 4 : 2, "data-floor": k.floor}), text(left + Math.max(k.loss, k.floor) * scale + 10, y + step * .62, k.shown, {class: "big"})];
    })));
  }

  function draw(view) {
    const held = place.contains(document.activeElement), chip = rows.contains(document.activeElement) ? [...rows.querySelectorAll(".tok")].indexOf(document.activeElement) : -1, P = ctx.present();
    v = view; lit = null;
    (ctx.root.clientWidth > 760 ? el : ctx.after).append(right);
    right.style.marginTop = right.parentElement === el ? "" : "calc(4*var(--u))";
    const small = sky(P); strip(P, small);
    lossHead.hidden = losses.hidden = P; if (!P) lossBars(P);
    if (held) cellsAt[at].focus({preventScroll: true});
    if (chip >= 0) rows.querySelectorAll(".tok")[chip]?.focus({preventScroll: true});
  }
  function key(e) {
    const cell = e.target.dataset ? e.target.dataset.cell : undefined;
    if (cell === undefined) return false;
    const i = +cell, row = Math.floor(i / N);
    const to = {ArrowRight: i + 1, ArrowLeft: i - 1, ArrowDown: i + N, ArrowUp: i - N, Home: row * N, End: row * N + N - 1, PageUp: i % N, PageDown: 12 + i % N}[e.key];
    if (to !== undefined) { at = Math.max(0, Math.min(N * N - 1, to)); cellsAt.forEach((c, k) => { c.tabIndex = k === at ? 0 : -1; }); cellsAt[at].focus({preventScroll: true}); return true; }
    if (e.key === "Enter" || e.key === " ") { cycle(i, e.shiftKey ? -1 : 1); return true; }
    return false;
  }
  return {el, draw, key, keys: [["← → ↑ ↓", "another square, or token"], ["Enter", "another thing in this square of the sky"], ["Shift Enter", "the one before"]]};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
