// A chart with axes. plotly.js comes once a page from the hidden runtime widget, then only specifications.
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
function picture(ctx) {
  const el = h("div", {role: "img", tabindex: 0, ...KEYS});
  const themed = x => typeof x === "string" && NAMED.test(x) ? ctx.color(x) : Array.isArray(x) ? x.map(themed)
    : x && typeof x === "object" && !ArrayBuffer.isView(x) ? Object.fromEntries(Object.entries(x).map(([k, v]) => [k, /ref$/.test(k) ? v : themed(v)])) : x;
  async function draw(v) {
    if (!v.figure) return;
    el.style.height = v.height * (ctx.present() ? 1.8 : 1) + "px";
    el.setAttribute("aria-label", v.question);
    const Plotly = await plotly(ctx.model), size = parseFloat(ctx.color("note")), axis = {gridcolor: "line", linecolor: "ink", zerolinecolor: "line", automargin: true};
    const layout = {paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: "ink", size, family: getComputedStyle(ctx.root).fontFamily},
      width: el.clientWidth, height: el.clientHeight, // plotly itself keeps the size that it had before
      colorway: ["m1", "m2", "m3", "m4"], margin: {l: 8, r: 16, t: 8, b: 8}, hoverlabel: {bgcolor: "paper", font: {color: "ink"}}, ...v.figure.layout};
    for (const key of new Set(["xaxis", "yaxis", ...Object.keys(layout).filter(k => /^[xy]axis\d*$/.test(k))])) layout[key] = {...axis, ...layout[key]};
    await Plotly.react(el, themed(v.figure.data), themed(layout), {displaylogo: false, displayModeBar: false, responsive: true});
    el.dataset.drawn = ctx.model.get("_done");
  }
  return {el, draw};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
