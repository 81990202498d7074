// QuantizationBins: weights as a histogram, levels as handles. A drag is answered here, within a frame, from fine
// bins; the exact error and the model's loss follow from the kernel.
const HALO = {style: "paint-order:stroke;stroke:var(--paper);stroke-width:4px"}, MIDDLE = {"text-anchor": "middle", class: "s"};
const put = (node, props) => { for (const k in props) node.setAttribute(k, props[k]); };
const STEP = .05, GAP = .005; // an arrow key; the least distance of two levels

function layout(ctx) {
  const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), aside = full > (P ? 1300 : 1000);
  const W = aside ? full - (P ? 620 : 404) : full, H = P ? (full < 1100 ? 300 : 470) : full < 670 ? 400 : 470;
  // from the top: the level, its share, the line through the histogram to its floor, the error's triangles, the scale
  const [y1, y2, rise, top] = P ? [30, 64, 76, 96] : [22, 43, 52, 82], eb = H - (P ? 52 : 40), eh = P ? (full < 1100 ? 50 : 84) : 78, base = eb - eh - (P ? full < 1100 ? 20 : 36 : 52);
  return {P, S, full, aside, W, H, l: 12 * S, y1, y2, rise, top, base, eb, eh, r: P ? 16 : 10};
}

function picture(ctx) {
  const head = h("h4"), still = s("g"), shade = s("g"), over = s("g"), marks = s("g"), handles = s("g");
  const svg = s("svg", {role: "group", "aria-label": "weights and levels", style: "touch-action:none;cursor:ew-resize"}, shade, still, over, handles, marks);
  const left = h("div", {style: {flex: "none", "max-width": "100%"}}, head, svg), box = ctx.input("scope").box, table = h("div"), chart = h("div");
  const right = h("div", {style: {flex: 1, "min-width": 0}}, h("h4", {}, "What it costs"), box, table, chart), el = h("div", {class: "cols"}, left, right);
  box.querySelector(".cap").hidden = true; box.style.marginBottom = "12px"; marks.style.pointerEvents = "none";
  let v = null, L = null, fine = null, levels = [], held = 0, x = z => z, nodes = [], dragging = false, all = false, now = null, sent = 0, timer = 0;

  const hold = i => { held = i; ctx.model.set("held", i); }; // the kernel learns of it with the next levels
  const byHand = () => ctx.get("method") === "hand";
  const exact = () => v && levels.length === v.levels.length && levels.every((l, i) => Math.abs(l - v.levels[i]) < 2e-4) && byHand() === (v.method === "hand");

  // ---------------------------------------------------------------- the picture
  function setting(view) { // everything that stands still while a level moves
    v = view; L = layout(ctx); fine = floats(ctx.model.get("_bins"));
    const {W, H, l, top, base, eb, S} = L, n = fine.length / 4, shown = Math.max(24, Math.round(W / (10 * S)));
    x = z => l + (W - 2 * l) * (z - v.low) / (v.high - v.low);
    put(svg, {width: W, height: H}); left.style.width = W + "px";
    const tall = new Float64Array(shown), wide = (W - 2 * l) / shown, parts = [];
    fine.subarray(0, n).forEach((c, i) => { tall[Math.floor(i * shown / n)] += c; });
    const scale = (base - top) / Math.max(...tall);
    tall.forEach((c, i) => { const high = Math.max(1, c * scale); if (c) parts.push(rect(l + i * wide + .6, base - high, wide - 1.2, high, "var(--quiet)")); });
    const by = [1, 2, 5, 10, 20, 50, 100, 200, 500].find(d => (v.high - v.low) / d <= W / (70 * S)) || 1000;
    for (let z = Math.ceil(v.low / by) * by; z <= v.high; z += by) parts.push(text(x(z), H - 4 * S, num(z, 0), MIDDLE));
    parts.push(line(l, base, W - l, base, "var(--ink)", 1.25 * S), line(l, eb, W - l, eb, "var(--ink)", S));
    still.replaceChildren(...parts);
    head.replaceChildren(`${v.n_weights.toLocaleString("en-US")} weights and ${byHand() ? "your " : ""}${v.levels.length} levels `, h("span", {}, L.P || L.full < 670 ? "" : `in units of ${v.grouped ? "their groups’" : "their"} spread; drag, or use arrow keys`));
    if (nodes.length !== v.levels.length) {
      nodes = v.levels.map((_, i) => s("g", {role: "slider", tabindex: -1, ...KEYS, onfocus: () => { hold(i); move(); }}, s("line"), s("circle"), s("circle", {class: "ring", fill: "none"})));
      handles.replaceChildren(...nodes);
    }
    held = Math.min(Math.max(0, ctx.get("held")), nodes.length - 1);
  }

  function move() { // everything that follows the levels
    const {W, l, rise, base, eb, eh, S, r} = L, n = levels.length, edges = [v.low, ...levels.slice(1).map((z, i) => (z + levels[i]) / 2), v.high];
    now = cost(fine, v, levels);
    const pixels = levels.map(x), tight = Math.min(...pixels.slice(1).map((p, i) => p - pixels[i]), 99), small = Math.max(2.5, Math.min(r, tight / 2.2)), mine = byHand(), full = i => n <= 32 || i === 0 || i === n - 1 || mine && i === held;
    const from = rise + 16, cells = levels.map((_, k) => [x(edges[k]), x(edges[k + 1])]);
    shade.replaceChildren(...(n <= 64 ? cells.filter((_, k) => k % 2 === 0).map(([a, b]) => rect(a, from, b - a, eb - from, "var(--gap)")) : []));
    const peaks = edges.map((z, k) => Math.abs(z - levels[Math.min(k, n - 1)])), high = eh / Math.max(...peaks, 1e-9), at = (z, e) => `L${x(z).toFixed(1)} ${(eb - high * e).toFixed(1)}`;
    const d = `M${x(v.low)} ${eb}` + levels.map((z, k) => at(edges[k], peaks[k]) + at(z, 0)).join("") + at(v.high, peaks[n]) + at(v.high, 0) + "z";
    over.replaceChildren(...(n <= 32 ? cells.slice(1).map(([a]) => line(a, from, a, eb, "var(--edge)", 1.25 * S, {"stroke-dasharray": "4 4"})) : []),
      s("path", {d, fill: "var(--m2)", "fill-opacity": .22, stroke: "var(--m2)", "stroke-width": 2 * S, "stroke-linejoin": "round"}));
    const low = L.P && L.full < 1100, outer = [pixels[0] - l, W - l - pixels[n - 1]], start = outer[0] > outer[1], wide = 128 * S; // where no line runs
    const near = pixels.slice(1).findIndex((p, i) => p - pixels[i] > 2 * wide), inside = Math.max(...outer) < wide && near >= 0;
    const said = text(inside ? pixels[near] + 8 * S : start ? l + 8 * S : W - l - 8 * S, base + (eb - eh - base) * .8, "|weight − level|", {class: "s", ...HALO, "text-anchor": inside || start ? "start" : "end"});
    nodes.forEach((g, i) => {
      const on = i === held, p = pixels[i], [bar, dot, ring] = g.children, mark = on && mine;
      put(bar, {x1: p, x2: p, y1: full(i) ? rise : base, y2: eb, stroke: "var(--m1)", "stroke-width": Math.min(tight / 3, (mark ? 4 : 3) * S)});
      put(dot, {cx: p, cy: base, r: mark ? r + 2 : small, fill: mark ? "var(--you)" : "var(--paper)", stroke: mark ? "var(--ink)" : "var(--m1)", "stroke-width": mark ? 3 : Math.min(3, small / 2), "stroke-dasharray": mark ? "5 3" : "none"});
      put(ring, {cx: p, cy: base, r: r + 7, stroke: "var(--focus)", "stroke-width": 2 * S});
      put(g, {tabindex: on ? 0 : -1, "aria-label": `level ${i + 1} of ${n}`, "aria-valuemin": v.low.toFixed(2), "aria-valuemax": v.high.toFixed(2), "aria-valuenow": levels[i].toFixed(3), "aria-valuetext": `${num(levels[i])}, ${pct(now.shares[i])} of the weights`});
    });
    marks.replaceChildren(...names(pixels, mine, full), ...hairlines(mine), ...(low ? [] : [said])); // a low picture has no room for the words
    costs(); methods();
  }

  function names(pixels, mine, full) { // above the handles, as many as have room, the held one first
    const {W, S, P, y1, y2} = L, room = 54 * S, wide = P ? 92 : v.bits > 3 ? 56 : 50 + 8 * v.bits, done = [], below = [], order = [...(mine ? [held] : []), ...levels.keys()].filter(full);
    return order.flatMap(i => {
      const code = v.bits > 3 || P ? "" : i.toString(2).padStart(v.bits, "0") + " · ", share = now.shares[i] > 0 && now.shares[i] < 1e-4 ? `<0.01${NARROW}%` : pct(now.shares[i]);
      const half = 4.2 * S * (code + share).length, p = Math.max(half, Math.min(W - half, pixels[i]));
      if (done.some(q => Math.abs(q - p) < room)) return [];
      done.push(p);
      const fits = !(v.bits > 5 && i !== held) && !below.some(q => Math.abs(q - p) < wide);
      if (fits) below.push(p);
      return [text(p, y1, num(levels[i]), {...MIDDLE, class: i === held && mine ? "b" : "b n1"}), ...(fits ? [text(p, y2, code + share, MIDDLE)] : [])];
    });
  }

  function hairlines(mine) { // where Lloyd–Max would put the held level, or (key t) all of them
    const {rise, base, S} = L, which = all ? [...v.best.keys()] : mine ? [held] : [];
    return which.flatMap(i => { const p = x(v.best[i]), near = p > x(levels[i]);
      return [line(p, rise + 18, p, base, "var(--ink)", 1.75 * S), ...(i === held ? [text(p + (near ? 8 : -8) * S, rise + 14 + 16 * S, `best ${num(v.best[i])}`, {"text-anchor": near ? "start" : "end", ...HALO})] : [])]; });
  }

  function costs() { // the kernel's exact figures where they are for these levels, else what the bins say
    const fresh = exact(), own = {"mean squared error": now.error, "its root (RMSE)": Math.sqrt(now.error)}, grey = {style: {color: "var(--ink-2)"}};
    const mine = (label, shown) => fresh ? h("b", {}, shown) : own[label] !== undefined && !v.all_layers ? h("b", {}, errorText(own[label]))
      : /^b/.test(label) ? h("b", {}, shown) : h("span", {...grey, title: "of the levels before"}, "… " + shown);
    const rows = v.costs.map(row => L.P ? row.slice(0, 3) : row); // a projector has room for what levels compete with
    table.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, rows[0].map(t => h("th", {}, t)))), h("tbody", {}, rows.slice(1).filter(([label]) => !(L.P && /root/.test(label))).map(([label, shown, ...rest]) =>
      h("tr", {"data-cost": label}, h("td", {}, label), h("td", {"data-exact": +fresh}, mine(label, shown)), rest.map((t, i) => h("td", i < v.costs[0].length - 3 ? {} : grey, t)))))));
    table.dataset.error = fresh ? v.error : now.error;
  }

  function methods() {
    chart.hidden = L.P;
    if (L.P) return;
    const error = exact() ? v.error : now.error, rows = v.methods.map(([label, e]) => ({label, e: label === "yours" ? error : e})), top = Math.max(...rows.map(r => r.e > 1.5 ? 0 : r.e), 1e-9) * 1.02, width = Math.min(L.aside ? 334 : L.full, 520);
    chart.replaceChildren(h("h4", {style: {"margin-top": "24px"}}, `Mean squared error at ${v.bits} bit${v.bits > 1 ? "s" : ""}`), bars(rows.map(({label, e}) => ({label, value: e, shown: errorText(e) + (e > top ? " ⋯" : ""), you: label === "yours", strong: label === "yours", outline: /^best/.test(label)})), {width, max: top, right: v.bits > 6 ? 96 : 76, label: rows.map(r => `${r.label} ${errorText(r.e)}`).join(", ")}));
  }

  // ---------------------------------------------------------------- the hand
  function tell() {
    ctx.say([["", `Your ${"first second third fourth fifth sixth seventh eighth".split(" ")[held] || held + 1 + "th"} level is at `], ["b", num(levels[held])], ["", `, with ${pct(now.shares[held])} of the weights. `],
      ...(exact() ? v.tail : [["", "The mean squared error is "], ["b", errorText(now.error)], ["", `; the best ${levels.length} levels reach ${errorText(v.best_error)}. The model’s loss follows.`]])]);
  }
  function send(last) {
    clearTimeout(timer); timer = 0;
    const wait = sent + 150 - performance.now();
    if (!last && wait > 0) { timer = setTimeout(() => send(true), wait); return; }
    sent = performance.now();
    ctx.set("levels", levels.map(z => +z.toFixed(4)), !last || dragging);
  }
  function take(all) { levels = all; ctx.model.set("method", "hand"); move(); tell(); send(false); }
  function drag(i, z) { // a level stays between its neighbors
    const all = levels.slice(); hold(i);
    all[i] = Math.max(i ? all[i - 1] + GAP : v.low, Math.min(i < all.length - 1 ? all[i + 1] - GAP : v.high, z));
    take(all);
  }
  const stretch = f => { const wide = stretched(levels, f, v.low, v.high); if (wide) take(wide); };
  function pull(e) { // to the pointer, and onto the best place where that is near; with Alt all levels stretch
    const z = at(e) + grip, best = v.best[held];
    if (e.altKey) { if (z / levels[held] > .2) stretch(z / levels[held]); }
    else drag(held, !e.shiftKey && Math.abs(x(z) - x(best)) < 5 ? best : z);
  }
  const at = e => v.low + (v.high - v.low) * (e.clientX - svg.getBoundingClientRect().left - L.l) / (L.W - 2 * L.l);
  let grip = 0;
  svg.addEventListener("pointerdown", e => {
    if (e.button) return;
    const z = at(e), px = levels.map(q => Math.abs(x(q) - x(z))), i = px.indexOf(Math.min(...px));
    if (px[i] > 24) return;
    e.preventDefault(); svg.setPointerCapture(e.pointerId); dragging = true; grip = levels[i] - z; hold(i); nodes[i].focus({preventScroll: true}); move();
  });
  svg.addEventListener("pointermove", e => { if (dragging) pull(e); });
  svg.addEventListener("dblclick", () => drag(held, now.means[held]));
  const drop = () => { if (dragging) { dragging = false; if (!exact()) send(true); } };
  svg.addEventListener("pointerup", drop); svg.addEventListener("pointercancel", drop);

  // levels set in Python are seen at once, before their cost is known; what waits to be sent would undo them
  const forget = () => { clearTimeout(timer); timer = 0; };
  ctx.model.on("change:levels", () => { if (v && !dragging) { forget(); draw(v); } });

  function draw(view) {
    const own = ctx.get("levels");
    setting(view);
    const unsent = timer && byHand() && levels.length === 2 ** view.bits; // an answer to the last key does not undo the next
    if (!dragging && !unsent) levels = byHand() && own.length === 2 ** view.bits ? own.slice() : view.levels.slice();
    (L.aside ? el : ctx.after).append(right); el.style.gap = L.aside ? "48px" : null;
    move();
    if (byHand() && nodes.includes(document.activeElement)) tell();
  }
  return {el, draw, click: forget, keys: [["← →", "move the level"], ["Shift", "a tenth of a step"], ["↑ ↓", "choose a level"], ["Home End", "the first, the last"], ["m", "to the mean of its weights"], ["+ −", "all wider, all narrower"], ["t", "the best levels"]], key(e) {
    if (!nodes.includes(e.target)) return false;
    const by = e.shiftKey ? STEP / 10 : STEP, to = {ArrowUp: held + 1, ArrowDown: held - 1, Home: 0, End: levels.length - 1, PageUp: held + 16, PageDown: held - 16}[e.key];
    if (e.key === "ArrowRight") drag(held, levels[held] + by);
    else if (e.key === "ArrowLeft") drag(held, levels[held] - by);
    else if (e.key === "m") drag(held, now.means[held]);
    else if ("+=-".includes(e.key)) stretch(e.key === "-" ? 1 / 1.05 : 1.05);
    else if (e.key === "t") { all = !all; move(); }
    else if (to !== undefined) { hold(Math.max(0, Math.min(levels.length - 1, to))); nodes[held].setAttribute("tabindex", 0); nodes[held].focus(); tell(); }
    else return false;
    return true;
  }};
}
const style = ".lm [role=slider]:focus{outline:none}.lm .ring{visibility:hidden}.lm [role=slider]:focus .ring{visibility:visible}";
export default {render: ({model, el}) => { el.append(h("style", {}, style)); return mount(model, el, {picture}); }};
