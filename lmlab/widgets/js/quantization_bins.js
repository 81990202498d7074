// QuantizationBins: weights as a histogram, levels as handles. A drag is answered here, within a frame, from fine
// bins; the exact error and the model's loss follow from the kernel.
const HALO = "paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round";
const STEP = .05, GAP = .005; // an arrow key; the least distance of two levels

// two significant digits where small: the same rule as shown_error in Python
const errorText = e => e >= .01 ? num(e, e >= 9.95 ? 1 : e >= .995 ? 2 : 3) : e > 0 ? num(e, 1 - Math.floor(Math.log10(e))) : "0";

// which level each fine bin goes to, its share of the weights, and the mean squared error (see FineBins in Python)
function cost(fine, v, levels) {
  const n = fine.length / 4, wide = (v.high - v.low) / n, counts = levels.map(() => 0), mass = levels.map(() => 0), moment = levels.map(() => 0);
  let k = 0, error = 0, all = 0;
  for (let i = 0; i < n; i++) {
    const z = v.low + (i + .5) * wide;
    while (k < levels.length - 1 && z > (levels[k] + levels[k + 1]) / 2) k++;
    const l = levels[k], [m0, m1, m2] = [fine[n + i], fine[2 * n + i], fine[3 * n + i]];
    counts[k] += fine[i]; all += fine[i]; mass[k] += m0; moment[k] += m1; error += m2 - 2 * l * m1 + l * l * m0;
  }
  return {error: Math.max(0, error), shares: counts.map(c => c / all), means: moment.map((m, j) => mass[j] ? m / mass[j] : levels[j])};
}

function layout(ctx) {
  const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), aside = full > (P ? 1300 : 1000);
  const W = aside ? full - (P ? 620 : 382) : full, H = P ? (full < 1100 ? 300 : 470) : full < 670 ? 400 : 470;
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
    svg.setAttribute("width", W); svg.setAttribute("height", H);
    const tall = new Float64Array(shown); for (let i = 0; i < n; i++) tall[Math.floor(i * shown / n)] += fine[i];
    const most = Math.max(...tall), wide = (W - 2 * l) / shown, parts = [];
    tall.forEach((c, i) => { if (c) parts.push(rect(l + i * wide + .6, base - Math.max(1, (base - top) * c / most), wide - 1.2, Math.max(1, (base - top) * c / most), "var(--quiet)")); });
    const by = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find(d => (v.high - v.low) / d <= W / (70 * S)) || 2000;
    for (let z = Math.ceil(v.low / by) * by; z <= v.high; z += by) parts.push(text(x(z), H - 4 * S, num(z, 0), {"text-anchor": "middle", class: "s"}));
    parts.push(line(l, base, W - l, base, "var(--ink)", 1.25 * S), line(l, eb, W - l, eb, "var(--ink)", S));
    still.replaceChildren(...parts);
    head.replaceChildren(`${v.n_weights.toLocaleString("en-US")} weights and ${byHand() ? "your " : ""}${v.levels.length} levels `, h("span", {}, L.P || L.full < 670 ? "" : `in units of ${v.grouped ? "their groups’" : "their"} spread; drag a handle, or arrow keys`));
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
    shade.replaceChildren(...(n <= 64 ? levels.map((_, k) => k % 2 ? null : rect(x(edges[k]), rise + 16, x(edges[k + 1]) - x(edges[k]), eb - rise - 16, "var(--gap)")).filter(Boolean) : []));
    const points = [[v.low, v.low - levels[0]]]; levels.forEach((z, k) => { points.push([z, 0]); if (k < n - 1) points.push([edges[k + 1], edges[k + 1] - z]); }); points.push([v.high, v.high - levels[n - 1]]);
    const most = Math.max(...points.map(p => Math.abs(p[1])), 1e-9), d = "M" + points.map(([z, e]) => `${x(z).toFixed(1)} ${(eb - eh * Math.abs(e) / most).toFixed(1)}`).join("L") + `L${x(v.high).toFixed(1)} ${eb}L${x(v.low).toFixed(1)} ${eb}z`;
    const steps = n <= 32 ? edges.slice(1, -1).map(z => line(x(z), rise + 16, x(z), eb, "var(--edge)", 1.25 * S, {"stroke-dasharray": "4 4"})) : [];
    over.replaceChildren(...steps, s("path", {d, fill: "var(--m2)", "fill-opacity": .22, stroke: "var(--m2)", "stroke-width": 2 * S, "stroke-linejoin": "round"}));
    const start = pixels[0] - l > W - l - pixels[n - 1]; // beside the outermost level that leaves more room
    const said = text(start ? l + 8 * S : W - l - 8 * S, base + (eb - eh - base) * .8, "|weight − level|", {class: "s", style: HALO, "text-anchor": start ? "start" : "end"});
    nodes.forEach((g, i) => {
      const on = i === held, p = pixels[i], [bar, dot, ring] = g.children, put = (node, o) => { for (const k in o) node.setAttribute(k, o[k]); };
      put(bar, {x1: p, x2: p, y1: full(i) ? rise : base, y2: eb, stroke: "var(--m1)", "stroke-width": Math.min(tight / 3, (on && mine ? 4 : 3) * S)});
      put(dot, {cx: p, cy: base, r: on && mine ? r + 2 : small, fill: on && mine ? "var(--you)" : "var(--paper)", stroke: on && mine ? "var(--ink)" : "var(--m1)", "stroke-width": on && mine ? 3 : Math.min(3, small / 2), "stroke-dasharray": on && mine ? "5 3" : "none"});
      put(ring, {cx: p, cy: base, r: r + 7, stroke: "var(--focus)", "stroke-width": 2 * S});
      put(g, {tabindex: on ? 0 : -1, "aria-label": `level ${i + 1} of ${n}`, "aria-valuemin": v.low.toFixed(2), "aria-valuemax": v.high.toFixed(2), "aria-valuenow": levels[i].toFixed(3), "aria-valuetext": `${num(levels[i])}, ${pct(now.shares[i])} of the weights`});
    });
    marks.replaceChildren(...names(pixels, mine, full), ...hairlines(mine), said);
    costs(); methods();
  }

  function names(pixels, mine, full) { // above the handles, as many as have room, the held one first
    const {W, S, P, y1, y2} = L, room = 50 * S, wide = P ? 92 : v.bits > 3 ? 56 : 46 + 6 * v.bits, done = [], below = [], order = [...(mine ? [held] : []), ...levels.keys()].filter(full);
    return order.flatMap(i => {
      const p = Math.max(.6 * wide, Math.min(W - .6 * wide, pixels[i]));
      if (done.some(q => Math.abs(q - p) < room)) return [];
      done.push(p);
      const fits = !(v.bits > 5 && i !== held) && !below.some(q => Math.abs(q - p) < wide);
      if (fits) below.push(p);
      const code = i.toString(2).padStart(v.bits, "0"), share = now.shares[i] > 0 && now.shares[i] < 1e-4 ? `<0.01${NARROW}%` : pct(now.shares[i]);
      return [text(p, y1, num(levels[i]), {"text-anchor": "middle", class: "b " + (i === held && mine ? "" : "n1")}), !fits ? null : text(p, y2, v.bits > 3 || S > 1 ? share : `${code} · ${share}`, {"text-anchor": "middle", class: "s"})].filter(Boolean);
    });
  }

  function hairlines(mine) { // where Lloyd–Max would put the held level, or (key t) all of them
    const {rise, base, S} = L, which = all ? [...v.best.keys()] : mine ? [held] : [];
    return which.flatMap(i => { const p = x(v.best[i]), near = p > x(levels[i]);
      return [line(p, rise + 18, p, base, "var(--ink)", 1.75 * S), all && i !== held ? null : text(p + (near ? 8 : -8) * S, rise + 14 + 16 * S, `best ${num(v.best[i])}`, {"text-anchor": near ? "start" : "end", style: HALO})].filter(Boolean); });
  }

  function costs() { // the kernel's exact figures where they are for these levels, else what the bins say
    const fresh = exact(), mse = fresh || v.all_layers ? null : now.error;
    const value = (label, mine) => label === "mean squared error" && mse !== null ? errorText(mse) : label === "its root (RMSE)" && mse !== null ? errorText(Math.sqrt(mse)) : mine;
    const late = label => !fresh && (/^loss/.test(label) || v.all_layers && /squared|root/.test(label));
    const rows = v.costs.slice(1).filter(([label]) => !(L.P && /root/.test(label)));
    table.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, v.costs[0].map(t => h("th", {}, t)))), h("tbody", {}, rows.map(([label, mine, dense]) => h("tr", {"data-cost": label},
      h("td", {}, label), h("td", {"data-exact": fresh ? 1 : 0, title: late(label) ? "of the levels before" : null}, late(label) ? h("span", {style: {color: "var(--ink-2)"}}, `… ${mine}`) : h("b", {}, value(label, mine))), h("td", {style: {color: "var(--ink-2)"}}, dense))))));
    table.dataset.error = fresh ? v.error : now.error;
  }

  function methods() {
    chart.hidden = L.P;
    if (L.P) return;
    const error = exact() ? v.error : now.error, rows = v.methods.map(([label, e]) => ({label, e: label === "yours" ? error : e})), top = Math.max(...rows.map(r => r.e > 1.5 ? 0 : r.e), 1e-9) * 1.02, width = Math.min(L.aside ? 334 : L.full, 520);
    chart.replaceChildren(h("h4", {style: {"margin-top": "24px"}}, `Mean squared error at ${v.bits} bit${v.bits > 1 ? "s" : ""}`), bars(rows.map(({label, e}) => ({label, value: e, shown: errorText(e) + (e > top ? " ⋯" : ""), you: label === "yours", strong: label === "yours", outline: /^best/.test(label)})), {width, max: top, right: v.bits > 6 ? 92 : 64, label: rows.map(r => `${r.label} ${errorText(r.e)}`).join(", ")}));
  }

  // ---------------------------------------------------------------- the hand
  const nth = i => ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"][i] || `${i + 1}th`;
  function tell() {
    const over = v.best_error > 0 ? now.error / v.best_error - 1 : 0;
    ctx.say([["", `Your ${nth(held)} level is at `], ["b", num(levels[held])], ["", `, with ${pct(now.shares[held])} of the weights. `], ...(exact() ? v.tail : [["", "The mean squared error is "], ["b", errorText(now.error)],
      ["", over > 1 ? `, ${num(over + 1, 1)} times that of the best ${levels.length} levels. ` : over < .005 ? ", as little as the best levels. " : `, ${Math.round(100 * over)}${NARROW}% above the best ${levels.length} levels. `], ["", "The loss follows."]])]);
  }
  function send(last) {
    clearTimeout(timer);
    const wait = sent + 150 - performance.now();
    if (!last && wait > 0) { timer = setTimeout(() => send(true), wait); return; }
    sent = performance.now();
    ctx.model.set("method", "hand");
    ctx.set("levels", levels.map(z => +z.toFixed(4)), !last || dragging);
  }
  function put(i, z) { // a level stays between its neighbors
    const next = levels.slice();
    next[i] = Math.max(i ? next[i - 1] + GAP : v.low, Math.min(i < next.length - 1 ? next[i + 1] - GAP : v.high, z));
    levels = next; hold(i);
    if (!byHand()) ctx.model.set("method", "hand");
    move(); tell(); send(false);
  }
  const at = e => v.low + (v.high - v.low) * (e.clientX - svg.getBoundingClientRect().left - L.l) / (L.W - 2 * L.l);
  let grip = 0;
  svg.addEventListener("pointerdown", e => {
    if (e.button) return;
    const z = at(e), px = levels.map(q => Math.abs(x(q) - x(z))), i = px.indexOf(Math.min(...px));
    if (px[i] > 24) return;
    e.preventDefault(); svg.setPointerCapture(e.pointerId); dragging = true; grip = levels[i] - z; hold(i); nodes[i].focus({preventScroll: true}); move();
  });
  svg.addEventListener("pointermove", e => { if (dragging) put(held, at(e) + grip); });
  const drop = () => { if (dragging) { dragging = false; if (!exact()) send(true); } };
  svg.addEventListener("pointerup", drop); svg.addEventListener("pointercancel", drop);

  // levels or method set in Python are seen at once, before their cost is known
  ctx.model.on("change:levels", () => { const own = ctx.get("levels"); if (v && !dragging && byHand() && own.length === levels.length && own.some((z, i) => Math.abs(z - levels[i]) > 1e-4)) { levels = own.slice(); move(); } });

  function draw(view) {
    const own = ctx.get("levels");
    setting(view);
    if (!dragging) levels = byHand() && own.length === 2 ** view.bits ? own.slice() : view.levels.slice();
    (L.aside ? el : ctx.after).append(right); el.style.gap = L.aside ? "48px" : null;
    move();
    if (byHand() && nodes.includes(document.activeElement)) tell();
  }
  return {el, draw, keys: [["← →", "move the level"], ["Shift", "a tenth of a step"], ["↑ ↓", "choose a level"], ["Home End", "the first, the last"], ["m", "to the mean of its weights"], ["t", "the best levels"]], key(e) {
    if (!nodes.includes(e.target)) return false;
    const by = e.shiftKey ? STEP / 10 : STEP, to = {ArrowUp: held + 1, ArrowDown: held - 1, Home: 0, End: levels.length - 1, PageUp: held + 16, PageDown: held - 16}[e.key];
    if (e.key === "ArrowRight") put(held, levels[held] + by);
    else if (e.key === "ArrowLeft") put(held, levels[held] - by);
    else if (e.key === "m") put(held, now.means[held]);
    else if (e.key === "t") { all = !all; move(); }
    else if (to !== undefined) { hold(Math.max(0, Math.min(levels.length - 1, to))); nodes[held].setAttribute("tabindex", 0); nodes[held].focus(); tell(); }
    else return false;
    return true;
  }};
}
const style = ".lm [role=slider]:focus{outline:none}.lm .ring{visibility:hidden}.lm [role=slider]:focus .ring{visibility:visible}";
export default {render: ({model, el}) => { el.append(h("style", {}, style)); return mount(model, el, {picture}); }};
