// A chart with axes. plotly.js comes once a page from the hidden runtime widget, then only specifications. A keyboard
// walks the points: what the mouse's label shows is shown, and said.
function plotly(model) {
  const id = model.get("_runtime_id"), cache = window.__lmlabPlotly = window.__lmlabPlotly || {};
  return cache[id] = cache[id] || (async () => {
    const runtime = await model.widget_manager.get_model(id);
    const packed = new Blob([bytes(runtime.get("bundle"))]).stream().pipeThrough(new DecompressionStream("gzip"));
    const module = {exports: {}};
    // as a module of its own: nothing global, whatever loader the page has
    new Function("module", "exports", "define", await new Response(packed).text())(module, module.exports, undefined);
    return module.exports;
  })();
}
const NAMED = /^(ink|ink-2|line|edge|quiet|paper|you|m[1-4]|m[1-4]-text|t[1-4])$/;
const nth = (list, i) => list === undefined ? i : list[i];
const points = t => Array.from(t.y || t.x || [], (_, i) => i).filter(i => nth(t.x, i) !== null && nth(t.y, i) !== null);
// of the ticks that were chosen as many as have room; `least` is a part of the axis
function apart(axis, least) {
  const place = x => axis.type === "log" ? Math.log10(x) : x, [low, high] = axis.range || [axis.tickvals[0], axis.tickvals.at(-1)].map(place), at = x => (place(x) - low) / (high - low || 1), kept = [];
  axis.tickvals.forEach((x, i) => { if (!kept.length || Math.abs(at(x) - at(axis.tickvals[kept.at(-1)])) >= least) kept.push(i); });
  return {...axis, tickvals: kept.map(i => axis.tickvals[i]), ticktext: axis.ticktext && kept.map(i => axis.ticktext[i])};
}
// a point in words: the trace's name, and what its label's template says of it, or both coordinates
function words(t, i) {
  const known = x => typeof x !== "number" ? String(x ?? "") : num(x, Number.isInteger(x) ? 0 : Math.abs(x) < 1 ? 3 : 2);
  const said = (t.hovertemplate || "%{x}: %{y}").replace(/<extra>.*<\/extra>/, "").replace(/<br>/g, ", ")
    .replace(/%\{(\w+)(?:\[(\d)\])?(?::[^}]*?(\d)f)?[^}]*\}/g, (_, key, part, digits) => { const x = nth(t[key], i), value = part ? x[part] : x; return digits && typeof value === "number" ? num(value, +digits) : known(value); });
  return [t.name, said].map(text => (text || "").replace(/<[^>]*>/g, "").replace(/&#123;/g, "{").replace(/&lt;/g, "<").replace(/&amp;/g, "&"));
}
function picture(ctx) {
  const el = h("div", {role: "img", tabindex: 0, ...KEYS, onblur: () => { if (point === null) return; point = null; lib.Fx.unhover(el); ctx.say(ctx.view().readout); }});
  let lib = null, trace = -1, point = null;
  const place = (i, way, k) => { const t = el.data[i], axis = el._fullLayout[(t[way + "axis"] || way).replace(way, way + "axis")]; return axis._offset + axis.d2p(nth(t[way], k)); };
  const walked = () => (el.data || []).map((_, i) => i).filter(i => { const t = el.data[i]; return (t.visible ?? true) === true && t.hoverinfo !== "skip" && points(t).length; });
  function show() {
    const t = el.data[trace], [name, said] = words(t, point);
    lib.Fx.hover(el, [{curveNumber: trace, pointNumber: point}], (t.xaxis || "x") + (t.yaxis || "y"));
    ctx.say([["b", name], ["", (name ? ": " : "") + said]]);
  }
  function key(e) {
    const all = e.target === el ? walked() : [], up = {ArrowUp: -1, ArrowDown: 1}[e.key];
    if (!all.length || up === undefined && step(e, 0, 0, 1) === undefined) return false;
    if (!all.includes(trace)) { trace = all[0]; point = null; }
    if (point === null) point = e.key === "End" ? points(el.data[trace]).at(-1) : points(el.data[trace])[0];
    else if (up) { // the line that is drawn above or below at this place
      const x = place(trace, "x", point), near = new Map(all.map(i => [i, points(el.data[i]).reduce((a, b) => Math.abs(place(i, "x", b) - x) < Math.abs(place(i, "x", a) - x) ? b : a)]));
      near.set(trace, point); all.sort((a, b) => place(a, "y", near.get(a)) - place(b, "y", near.get(b)));
      trace = all[Math.max(0, Math.min(all.length - 1, all.indexOf(trace) + up))]; point = near.get(trace);
    } else { const there = points(el.data[trace]); point = there[step(e, Math.max(0, there.indexOf(point)), 0, there.length - 1)]; }
    show(); return true;
  }
  // a mark to be dragged: near its place in the first plot the mouse sets the trait, and plotly does not hear of it
  let held = false;
  function drag(e) {
    const g = ctx.view().handle, {xaxis: X, yaxis: Y} = el._fullLayout || {};
    if (!g || !X) return;
    const box = el.getBoundingClientRect(), x = e.clientX - box.left - X._offset - X.d2p(g.x), y = e.clientY - box.top - Y._offset;
    const near = Math.abs(x) < 28 && y > 0 && y < Y._length;
    el.style.cursor = held || near ? "ns-resize" : "";
    if (e.type === "pointerdown" && near) { held = true; el.setPointerCapture(e.pointerId); }
    if (!held) return;
    e.preventDefault(); e.stopPropagation();
    if (e.type === "pointerup" || e.type === "pointercancel") { held = false; return; }
    ctx.set(g.trait, Math.round(100 * Math.max(g.least, Math.min(g.most, Y.p2d(y)))) / 100);
  }
  for (const type of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) el.addEventListener(type, drag, true);
  const themed = x => typeof x === "string" && NAMED.test(x) ? ctx.color(x) : Array.isArray(x) ? x.map(themed)
    : x && typeof x === "object" && !ArrayBuffer.isView(x) ? Object.fromEntries(Object.entries(x).map(([k, v]) => [k, /ref$/.test(k) ? v : themed(v)])) : x;
  async function draw(v) {
    if (!v.figure) return;
    const P = ctx.present(), H = P ? ctx.room(el, 300, 1.8 * v.height) : v.height; el.style.height = H + "px";
    el.setAttribute("aria-label", v.question + " Arrow keys walk the points.");
    const Plotly = lib = await plotly(ctx.model), size = parseFloat(ctx.color("note")), axis = {gridcolor: "line", linecolor: "ink", zerolinecolor: "line", automargin: true};
    const layout = {paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: "ink", size, family: getComputedStyle(ctx.root).fontFamily},
      width: el.clientWidth, height: el.clientHeight, // plotly itself keeps the size that it had before
      colorway: ["m1", "m2", "m3", "m4"], margin: {l: 8, r: 16, t: 8, b: 8}, hoverlabel: {bgcolor: "paper", font: {color: "ink"}}, ...v.figure.layout};
    for (const key of new Set(["xaxis", "yaxis", ...Object.keys(layout).filter(k => /^[xy]axis\d*$/.test(k))])) { layout[key] = {...axis, ...layout[key]};
      if (layout[key].title) layout[key].title = {font: {size}, ...layout[key].title};
      const {tickvals, ticktext, domain = [0, 1]} = layout[key], long = Math.max(2, ...(ticktext || []).map(t => t.length));
      if (tickvals) layout[key] = apart(layout[key], key[0] === "y" ? 1.1 * size / (H - 100) : .62 * size * (long + 1) / (domain[1] - domain[0]) / (el.clientWidth - 60)); }
    await Plotly.react(el, themed(v.figure.data), themed(layout), {displaylogo: false, displayModeBar: false, responsive: true});
    el.dataset.drawn = ctx.model.get("_done");
    if (point !== null) { if (walked().includes(trace) && points(el.data[trace]).includes(point)) show(); else point = null; }
  }
  return {el, draw, key, keys: [["← →", "walk the points"], ["↑ ↓", "another line"], ["Home End", "to its ends"]]};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
