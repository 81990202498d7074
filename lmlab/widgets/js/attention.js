// Attention: links over the tokens, all heads small, one head in full.

function picture(ctx) {
  const strip = h("div", {class: "att-strip", style: {position: "relative"}}), thumbs = h("div"), heat = h("div", {style: {"min-width": 0}});
  const left = h("div", {style: {flex: "none"}}), aside = h("div", {style: {flex: 1}}), cols = h("div", {class: "cols", style: {"flex-wrap": "wrap"}}, left, heat, aside);
  const h1 = h("h4"), h2 = h("h4", {}), h3 = h("h4"), bar = h("div", {style: {margin: "10px 0 20px"}});
  left.append(h2, thumbs, bar);
  const heatPlace = h("div"), el = h("div", {}, h1, strip, cols);
  heat.append(h3, heatPlace);
  let v = null, T = 0, tri = null, cell = [0, 0], full = 0, small = false, spare = Infinity; // px: the room across; a projector of 1024; what is left of its height
  const at = (i, j) => tri[i * (i + 1) / 2 + j];
  const shade = x => (x - v.low) / (v.high - v.low || 1);
  const value = x => v.high === 1 && v.low === 0 ? pct(x) : num(x);
  const key = i => v.tokens[i];

  function links() {
    const i = v.query, P = ctx.present(), S = P ? 2 : 1, above = ctx.get("threshold") / 100;
    const weights = Array.from({length: i + 1}, (_, j) => at(i, j)), scores = !(v.low === 0 && v.high === 1);
    const list = tokenStrip(v.tokens, {label: "tokens: choose the one that looks", selected: i, onselect: j => ctx.set("query", j)});
    list.el.style.cssText = `display:flex;flex-wrap:wrap;row-gap:${(P ? 30 : 38) * S}px;column-gap:${T > 40 ? 2 : 10}px;padding:${scores || T < 2 ? 4 : (P ? 38 : 64) * S}px 0 ${(P ? 22 : 46) * S}px`;
    const best = v.best, order = weights.map((_, j) => j).sort((a, b) => weights[b] - weights[a]), least = weights[order[12]] ?? -Infinity; // so many links that none is seen would say nothing
    const counts = j => j === best || weights[j] >= least && (scores || weights[j] > above);
    list.items.forEach((item, j) => { if (!item) return;
      item.style.cssText = `position:relative;justify-content:center;margin:0;background:var(--t1);padding:0 ${(T > 40 ? 4 : 9) * S}px;min-height:${30 * S}px` + (j === best && j !== i ? ";box-shadow:0 0 0 2px var(--ink);font-weight:700" : "");
      if (j <= i) { const shown = scores ? num(weights[j]) : weights[j] < .005 ? "<1" + NARROW + "%" : pct(weights[j]);
        item.setAttribute("aria-label", `${key(j)} ${shown}`); item.dataset.p = weights[j];
        if (T <= 40 || counts(j)) item.append(h("small", {class: "att-p" + (j === best ? " n1" : "")}, shown)), item.style.minWidth = P && T > 40 ? "88px" : ""; }
      else item.setAttribute("aria-label", `${key(j)}, masked`), item.style.opacity = .55; });
    const held = strip.contains(document.activeElement);
    strip.replaceChildren(list.el);
    const lines = (list.items[T - 1].offsetTop - list.items[0].offsetTop) / (60 * S), folded = P && lines > (small ? 2.5 : 1.5);
    if (folded) fold(list, [i, best, ...order.filter(counts), ...v.tokens.map((_, j) => j).sort((a, b) => Math.abs(a - i) - Math.abs(b - i))], strip.clientWidth);
    const width = [...list.el.children].reduce((a, e) => a + (e.offsetWidth && e.offsetWidth + 10), 0);
    if (T > 4 && width < strip.clientWidth && width > strip.clientWidth * .6) list.el.style.justifyContent = "space-between";
    if (held) list.select(i, true);
    if (P && !folded && list.items[i] && list.items[i].offsetTop > list.items[0].offsetTop) list.el.style.paddingTop = "8px"; // no link rises above the first row
    if (scores) return; // links are attention: thickness is a share
    const box = e => e && e.offsetWidth && {x: e.offsetLeft + e.offsetWidth / 2, y: e.offsetTop, h: e.offsetHeight};
    const from = box(list.items[i]), paths = [];
    if (from) weights.forEach((p, j) => { const to = box(list.items[j]); if (p <= above || !counts(j) || j === i || !to) return;
      const up = to.y === from.y ? Math.min((P ? 36 : 60) * S, (18 + Math.abs(from.x - to.x) * .06) * S) : 0;
      const d = up ? `M${from.x} ${from.y}C${from.x} ${from.y - up * 1.3} ${to.x} ${to.y - up * 1.3} ${to.x} ${to.y}`
        : `M${from.x} ${from.y}C${from.x} ${from.y - 34 * S} ${to.x} ${to.y + to.h + 48 * S} ${to.x} ${to.y + to.h}`;
      paths.push(s("path", {d, fill: "none", stroke: "var(--m1)", "stroke-width": Math.max(1.2, 12 * p) * S, "stroke-opacity": p > .3 ? 1 : .8})); });
    strip.append(s("svg", {width: strip.clientWidth, height: strip.clientHeight, "aria-hidden": "true", class: "lm-over"}, paths));
  }

  function grid() {
    const L = v.n_layers, H = v.n_heads, P = ctx.present(), S = P ? 2 : 1, label = 62 * S, gap = Math.max(4, 10 - H * .5) * S, top = 22 * S, data = bytes(ctx.get("thumbs"));
    const room = full < 720 || small ? full : P ? 700 : Math.min(520, full * .43), fit = (spare - top) / L - gap; // px a layer, if all are seen at once
    const size = Math.max(22, Math.min(84 * S, (room - label) / H - gap, fit < 15 * S ? 20 * S : fit)), step = size + gap, W = label + H * step;
    const n = v.side, layer = ctx.get("layer"), head = ctx.get("head"), average = ctx.get("show") === "average";
    const art = canvas(W, L * step, c => { c.strokeStyle = ctx.color("line");
      for (let k = 0; k < L * H; k++) { const x = label + (k % H) * step, y = Math.floor(k / H) * step;
        c.strokeRect(x - .5, y - .5, size + 1, size + 1); triangle(c, n, (i, j) => data[(k * n + i) * n + j], x, y, size); } }, {"aria-hidden": "true"});
    const heads = [size > 44 * S ? "" : text(0, 13 * S, "head", {class: "s"}), ...Array.from({length: H}, (_, k) => text(label + k * step + size / 2, 13 * S, (size > 44 * S ? "head " : "") + k, {"text-anchor": "middle", class: k === head && !average ? "bold" : "s"}))];
    const labels = Array.from({length: L}, (_, k) => text(0, k * step + size / 2 + 5 * S, "layer " + k, {class: k === layer ? "bold" : "s"}));
    const frame = rect(label + (average ? 0 : head * step) - 3.5, layer * step - 3.5, (average ? W - label - gap : size) + 7, size + 7, "none", {stroke: "var(--ink)", "stroke-width": 3, rx: 2});
    const rows = Math.min(L, Math.floor((Math.min(520 * S, spare) - top) / step + .01)), long = rows < L, old = thumbs.firstChild, was = old ? old.scrollTop : 0, held = thumbs.contains(document.activeElement);
    const layers = h("div", {style: {position: "relative"}, onclick: e => { const r = layers.getBoundingClientRect(), k = Math.floor((e.clientX - r.left - label) / step), l = Math.floor((e.clientY - r.top) / step); if (k >= 0 && k < H && l >= 0 && l < L) choose(l, k); }},
      art, s("svg", {width: W, height: L * step, class: "lm-over"}, labels, frame));
    const box = h("div", {role: "group", "aria-roledescription": "grid of heads", "aria-label": `all heads: ${v.head} chosen, arrow keys choose`, tabindex: 0, ...KEYS, onscroll: () => seen(),
      style: {width: long ? "max-content" : W + "px", ...(long && {height: top + rows * step - 1 + "px", overflow: "hidden scroll", "scrollbar-width": "thin"})}},
      s("svg", {width: W, height: top - 4, style: "position:sticky;top:0;z-index:1;margin-bottom:4px;background:var(--paper)"}, heads), layers); // the heads' numbers stay while layers scroll
    const seen = () => { const k = Math.round(box.scrollTop / step); h2.replaceChildren(average ? `Layer ${layer} of ${L}` : `All ${L * H} heads `, h("span", {}, long ? ` layers ${k} to ${k + rows - 1} of ${L}; arrow keys move the frame` : " arrow keys move the frame")); };
    thumbs.replaceChildren(box);
    let from = Math.round(was / step); // whole layers, and nothing moves without need
    if (layer === from - 1) from = layer; else if (layer === from + rows) from++; else if (layer < from || layer > from + rows) from = layer - (rows >> 1);
    box.scrollTop = from * step;
    if (held) box.focus();
    h2.hidden = P && !small && !long; seen();
    const beside = bar.parentNode !== left, share = v.low === 0 && v.high === 1;
    bar.style.marginLeft = beside ? 0 : label + "px";
    bar.replaceChildren(scaleBar(beside ? 260 : Math.min(260 * S, Math.max(120 * S, W - label)), share ? ["0" + NARROW + "%", "50" + NARROW + "%", "100" + NARROW + "%"] : [num(v.low), num((v.low + v.high) / 2), num(v.high)], share ? "attention" : "score"));
  }
  function choose(layer, head) { ctx.set("layer", layer); ctx.set("head", head); }

  function map() {
    const P = ctx.present(), S = P ? 2 : 1, bare = spare < Infinity, room = Math.min(full < 720 || small ? full - 20 : full - left.offsetWidth - (P ? 80 : 44) - 30, P ? 900 : 620);
    const names = Math.min(130 * S, Math.max(...v.tokens.map(t => [...t].length)) * 8.4 * S + 14), top = bare ? 6 * S : Math.min(110 * S, names * .86 + 10), c = Math.max(1, Math.min(36 * S, Math.floor(Math.min(room - names, spare - top - 6) / T * 100) / 100)), W = c * T, q = v.query;
    const art = canvas(W, W, g => triangle(g, T, (i, j) => Math.round(255 * Math.min(1, Math.max(0, shade(at(i, j))))), 0, 0, W), {"aria-hidden": "true"});
    const every = Math.ceil(14 * S / c), over = [];
    for (let i = 0; i < T; i++) if (i % every === 0 || i === q) { if (i !== q && Math.abs(i - q) * c < 13 * S) continue;
      over.push(text(names - 8, top + i * c + c / 2 + 5 * S, key(i), {"text-anchor": "end", class: "mono " + (i === q ? "bold" : "s")}),
        bare ? "" : s("g", {transform: `translate(${names + i * c + c / 2 + 4},${top - 8}) rotate(-55)`}, text(0, 0, key(i), {class: "mono " + (i === v.best ? "bold" : "s")}))); }
    if (c >= 24 * S) for (let i = 0; i < T; i++) for (let j = 0; j <= i; j++) { const x = at(i, j), f = shade(x); if (f >= .3) over.push(text(names + j * c + c / 2, top + i * c + c / 2 + 4.5 * S, v.high === 1 && v.low === 0 ? (100 * x).toFixed(0) : num(x, 1), {"text-anchor": "middle", style: `fill:${onCividis(f)}`})); }
    over.push(rect(names, top, W, W, "none", {stroke: "var(--edge)"}), rect(names - 2, top + q * c - 2, W + 4, c + 4, "none", {stroke: "var(--paper)", "stroke-width": 4}), rect(names - 2, top + q * c - 1.5, W + 4, c + 3, "none", {stroke: "var(--ink)", "stroke-width": 2.5}));
    if (T > 4 && !bare) over.push(text(names - 8 * S, top - 14 * S, "from ↓ to →", {"text-anchor": "end", class: "s"}));
    if (T > 4) over.push(text(names + W - 8, top + 22 * S, "the future: masked", {"text-anchor": "end", class: "s", "paint-order": "stroke", stroke: "var(--paper)", "stroke-width": 6}));
    const cursor = rect(0, 0, c, c, "none", {stroke: "var(--you)", "stroke-width": 3, hidden: true}); over.push(cursor);
    const say = (i, j) => { cell = [i, j]; cursor.removeAttribute("hidden"); cursor.setAttribute("x", names + j * c); cursor.setAttribute("y", top + i * c);
      ctx.say(j > i ? [["mono", key(i)], ["", " may not look at "], ["mono", key(j)], ["", ": it lies in the future, and is masked."]] : [["mono", key(i)], ["", v.low === 0 && v.high === 1 ? " gives " : " scores "], ["b", value(at(i, j))], ["", v.low === 0 && v.high === 1 ? " of its attention to " : " on "], ["mono", key(j)], ["", "."]]); };
    const place = e => { const r = box.getBoundingClientRect(), j = Math.floor((e.clientX - r.left - names) / c), i = Math.floor((e.clientY - r.top - top) / c); return i >= 0 && j >= 0 && i < T && j < T ? [i, j] : null; };
    const rest = () => { cursor.setAttribute("hidden", ""); ctx.say(v.readout); };
    const held = heatPlace.contains(document.activeElement);
    const box = h("div", {role: "group", "aria-roledescription": "heatmap", "aria-label": `${v.head}: from each row's token to each column's`, tabindex: 0, ...KEYS, style: {position: "relative", width: names + W + 4 + "px", height: top + W + 6 + "px"},
      onmousemove: e => { const p = place(e); p ? say(...p) : rest(); }, onmouseleave: rest, onblur: rest, onclick: e => { const p = place(e); if (p) ctx.set("query", p[0]); },
      onkeydown: e => { const [i, j] = cell; const to = {ArrowDown: [i + 1, j], ArrowUp: [i - 1, j], ArrowRight: [i, j + 1], ArrowLeft: [i, j - 1], Home: [i, 0], End: [i, i], PageDown: [i + 16, j], PageUp: [i - 16, j]}[e.key];
        if (e.key === "Enter") ctx.set("query", i); else if (!to) return;
        e.preventDefault(); e.stopPropagation(); if (to) say(...to.map(x => Math.max(0, Math.min(T - 1, x)))); }},
      h("div", {style: {position: "absolute", left: names + "px", top: top + "px", background: HATCH}}, art), s("svg", {width: names + W + 4, height: top + W + 6, class: "lm-over"}, over));
    heatPlace.replaceChildren(box);
    if (held) box.focus();
    h3.replaceChildren(`${v.head} `, h("span", {}, v.low === 0 && v.high === 1 ? " percent, from each row’s word" : " query·key scores, before the softmax"));
  }

  // on a projector all stands in one height: the text in one line, the scale beside the matrix; at 1024 the links come first, the rest after the readout
  function layout() {
    const P = ctx.present(), W = ctx.root.clientWidth, home = (small = P && W < 1100) ? ctx.after : el, box = ctx.input("prompt").el;
    full = W - (P ? 100 : 52); spare = Infinity;
    if (cols.parentNode !== home) home.append(cols);
    for (const name of ["show", "values"]) ctx.input(name).box.hidden = small;
    h1.hidden = small; cols.style.flexWrap = P && !small ? "nowrap" : "wrap";
    if (P && !small) aside.append(h3, bar, h2); else left.prepend(h2), left.append(bar), heat.prepend(h3); // what has the focus stays where it is
    if (!P) return;
    if (document.activeElement !== box) box.style.cssText = "";
    if (small) return;
    cols.style.display = "none"; links(); spare = Math.max(280, Math.min(640, innerHeight - 112 - ctx.root.offsetHeight)); cols.style.display = "";
  }

  function draw(view) {
    const packed = ctx.get("pattern");
    if (!packed || !packed.byteLength) return;
    v = view; T = v.tokens.length;
    const raw = new Uint16Array(packed.buffer.slice(packed.byteOffset, packed.byteOffset + packed.byteLength));
    tri = Float32Array.from(raw, half);
    if (cell[0] >= T || cell[1] >= T) cell = [T - 1, 0];
    h1.replaceChildren(`${v.head}: `, h("span", {}, `from ${v.query === T - 1 ? "the last " : ""}${key(v.query)} to what came before` + (v.high === 1 && v.low === 0 ? "; thickness is attention" : ": scores, before the softmax")));
    layout(); links(); grid(); map();
  }
  function press(e) {
    if (!thumbs.contains(e.target)) return false;
    const l = ctx.get("layer"), k = ctx.get("head"), to = {ArrowDown: [l + 1, k], ArrowUp: [l - 1, k], ArrowRight: [l, k + 1], ArrowLeft: [l, k - 1], Home: [l, 0], End: [l, v.n_heads - 1], PageDown: [v.n_layers - 1, k], PageUp: [0, k]}[e.key];
    if (!to) return false;
    choose(Math.max(0, Math.min(v.n_layers - 1, to[0])), Math.max(0, Math.min(v.n_heads - 1, to[1])));
    return true;
  }
  ctx.after.addEventListener("keydown", e => { // where the heads stand after the readout, their keys are the same
    if (e.ctrlKey || e.metaKey || e.altKey || !cols.contains(e.target)) return;
    if (!press(e)) { if (!/^[rp?]$/.test(e.key)) return; el.dispatchEvent(new KeyboardEvent("keydown", {key: e.key, bubbles: true})); }
    e.preventDefault(); e.stopPropagation(); });
  return {el, draw, key: press, keys: [["← → ↑ ↓", "walk tokens, heads or cells"], ["Enter", "let the row's token look"], ["Home End", "to the ends"]]};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
