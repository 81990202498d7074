// ChainRule: a waterfall of surprise. Each word begins where the one before it ended; the last column is their sum.
const pen = document.createElement("canvas").getContext("2d");

function picture(ctx) {
  const legend = h("div", {class: "cap", style: {display: "flex", gap: "var(--u) calc(6*var(--u))", "flex-wrap": "wrap", "align-items": "center", "margin-bottom": "calc(3*var(--u))"}});
  const chart = h("div"), el = h("div", {}, legend, chart), box = ctx.input("text").el, toggle = ctx.input("show_truth"), muted = new Set();
  const first = ctx.get("show_truth");
  let v = null, at = 0;
  const wide = (t, px, mono) => { pen.font = `700 ${px}px ${mono ? ctx.color("mono") : getComputedStyle(ctx.root).fontFamily}`; return pen.measureText(t).width * 1.04; };
  const cut = (t, room, px, mono = true) => wide(t, px, mono) <= room ? t : [...t].slice(0, Math.max(2, Math.floor(room / wide("0", px, mono)) - 1)).join("") + "…";
  const truthShown = () => v.has_truth && ctx.get("show_truth"), finite = list => list.filter(x => x !== null), sum = list => list.reduce((a, b) => a + b, 0);

  // a word takes a place along one axis, its surprise runs along the other; where columns would be too narrow they lie on their side
  function layout() {
    const P = ctx.present(), S = P ? 2 : 1, W = Math.max(260, ctx.root.clientWidth - (P ? 96 : 50)), M = v.columns.length - v.has_truth, n = v.words.length, many = M > 1;
    const note = P ? 28 : 13, body = P ? (W < 1100 ? 28 : 30) : 15, longest = px => Math.max(...v.words.map(w => wide(w.text, px, true)));
    const left = many ? Math.max(...v.columns.map(c => wide(c, note))) + 26 * S : 46 * S, tail = (P ? 165 : W < 1000 ? 150 : 190) * S, step = (W - left - tail) / n, up = step >= Math.max(Math.min(longest(note), 150 * S) + 3 * S, 58 * S);
    const so = Array.from({length: M}, (_, k) => v.words.reduce((out, w) => [...out, out.at(-1) === null || w.surprise[k] === null ? null : out.at(-1) + w.surprise[k]], [0]));
    const ends = finite(v.totals.slice(0, M)), most = Math.max(1, ...finite(so.flat()), v.claim ? v.claim.totals[0] : 0, ...(v.first ? finite(v.first.totals) : []));
    const by = [.1, .2, .5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4].find(d => most / d <= 6.1) || 1e5, top = ends.length ? Math.ceil(most / by - 1e-9) * by : most * 1.15;
    const L = {P, S, W, M, n, many, note, body, up, so, by, top, px: up && step < longest(body) + 2 * S ? note : body};
    if (up) Object.assign(L, {l: left, step, bar: Math.min(84 * S, step * .66), head: 36 * S, base: P ? 356 : 338, label: step - S, last: W - 126 * S, cols: [], lastBar: 84 * S});
    else {
      const bar = (many ? (P ? 7 : 9) * M + 4 : P ? 15 : 18) * S, step = Math.max(bar + (P ? 4 : 12) * S, (P ? 20 : 34) * S), l = Math.min(W * .34, Math.max(longest(body), 90 * S) + 24 * S);
      const cols = many ? v.columns.slice(0, M).map((c, k) => 14 * S + Math.max(wide(c, note) + 16 * S, wide(v.total_cost[k], body), ...v.words.map(w => wide(w.cost[k], body)))) : [wide("1 in 520,000", body)];
      const head = (many ? 62 : 40) * S, base = head + step * n;
      Object.assign(L, {l, step, bar, head, base, label: l - 22 * S, cols, room: Math.max(60 * S, W - l - sum(cols) - (many ? 12 : 62) * S), last: base + 10 * S, lastBar: bar});
    }
    L.height = up ? L.base + (39 + 27 * (many ? M : 1)) * S : L.base + L.step + 24 * S;
    L.at = i => i === n ? L.last : (up ? L.l : L.head) + L.step * (i + .5) - L.bar / 2;
    L.q = q => up ? L.base - (L.base - L.head) * Math.min(q, top) / top : L.l + L.room * Math.min(q, top) / top;
    L.long = q => q / top * (up ? L.base - L.head : L.room);
    L.block = (a, thick, q0, q1, fill, props) => up ? rect(a, L.q(q1), thick, Math.max(2, L.q(q0) - L.q(q1)), fill, props) : rect(L.q(q0), a, Math.max(2, L.q(q1) - L.q(q0)), thick, fill, props);
    L.line = (a0, q0, a1, q1, width, props, color = "var(--ink)") => up ? line(a0, L.q(q0), a1, L.q(q1), color, width * S, props) : line(L.q(q0), a0, L.q(q1), a1, color, width * S, props);
    L.across = (a, thick, q, over, width, props) => [L.line(a - over, q, a + thick + over, q, width + 4, {}, "var(--paper)"), L.line(a - over, q, a + thick + over, q, width, props)];
    L.part = (i, k) => { const thick = i === n ? L.lastBar : L.bar, gap = many ? (up ? 8 : 3) * S : 0, w = (thick - gap * (M - 1)) / M; return [L.at(i) + k * (w + gap), w]; };
    return L;
  }

  function axis(L) {
    const {S, up} = L, out = [text(0, 13 * S, `${v.unit} so far`, {class: "s"})];
    for (let q = 0; q <= L.top + 1e-9; q += L.by) { const t = num(q, L.by < 1 ? 1 : 0), x = L.q(q);
      out.push(up ? line(L.l, x, L.W, x, "var(--line)") : line(x, L.head - 6 * S, x, L.height, "var(--line)"), text(up ? L.l - 12 * S : x, up ? x + 4.5 * S : L.head - 13 * S, t, {"text-anchor": up ? "end" : "middle", class: "s"})); }
    const key = (k, x, y) => [shape(k, x - wide(v.columns[k], L.note) - 8 * S, y - 4.5 * S, 5 * S, `var(--m${k + 1})`), text(x, y, v.columns[k], {"text-anchor": "end", class: `bold n${k + 1}`})];
    if (up) out.push(text(L.l - 12 * S, L.base + 27 * S, "word", {"text-anchor": "end", class: "s"}));
    let x = L.W - sum(L.cols);
    if (!L.many) out.push(text(up ? L.l - 12 * S : L.W, up ? L.base + 54 * S : L.head - 13 * S, "p", {"text-anchor": "end", class: "s"}));
    else for (let k = 0; k < L.M; k++) out.push(...(up ? key(k, L.l - 12 * S, L.base + (54 + 27 * k) * S) : key(k, x += L.cols[k], 38 * S)));
    // from where a word ends to where the next begins
    for (let k = 0; k < L.M; k++) if (!muted.has(k)) for (let i = 0; i < L.n; i++) { const [a, w] = L.part(i, k), q = L.so[k][i + 1]; if (q !== null) out.push(L.line(a + w, q, L.part(i + 1, k)[0], q, 1.5, {"stroke-dasharray": "2 3"}, "var(--edge)")); }
    return [...out, up ? line(L.l, L.base, L.W, L.base, "var(--ink)", 1.25 * S) : line(L.l, L.head - 6 * S, L.l, L.height, "var(--ink)", 1.25 * S)];
  }

  // one bar of one model; what is impossible has no end
  function bar(L, i, k, from, to, data) {
    const [a, thick] = L.part(i, k), color = `var(--m${k + 1})`, mid = L.q((from + to) / 2);
    if (to === null) return [L.block(a, thick, from, L.top, "none", {stroke: color, "stroke-width": 1.5 * L.S, "stroke-dasharray": "2 4", ...data})];
    return [L.block(a, thick, from, to, color, data), L.many && thick > 14 * L.S && L.long(to - from) > 18 * L.S ? shape(k, L.up ? a + thick / 2 : mid, L.up ? mid : a + thick / 2, 3.6 * L.S, "var(--paper)") : ""];
  }

  // the truth: an outline where the model's bar begins, as long as the word costs in truth
  function outline(L, i, k, from, t) {
    const [a, thick] = L.part(i, k), over = (L.many ? 2 : 5) * L.S, open = t === null || from + t > L.top, q = open ? L.top : from + t;
    if (L.long(q - from) <= 10 * L.S) return L.many ? L.across(a, thick, q, over, 2) : [L.line(a - 9 * L.S, q, a - 2 * L.S, q, 2), L.line(a + thick + 2 * L.S, q, a + thick + 9 * L.S, q, 2)];
    return [...(open ? [] : L.across(a, thick, q, over, 2)), L.line(a - over, from, a - over, q, 2), L.line(a + thick + over, from, a + thick + over, q, 2), L.line(a - over - L.S, from, a + thick + over + L.S, from, 2)];
  }

  // what is written about a column: its word, and beside one model's bar or in rows of their own what it costs
  function written(L, i, w, tip, tone) {
    const {S, up, body, px} = L, thick = i === L.n ? L.lastBar : L.bar, mid = L.at(i) + thick / 2, low = mid + body * .34, t = cut(w.text, L.label, px), size = wide(t, px, true), x = up ? mid : L.l - 16 * S, y = up ? L.base + 27 * S : low, out = [];
    const put = (x, y, t, tone, anchor, data) => out.push(text(x, y, t, {"text-anchor": anchor, class: tone, style: `font-size:${body}px`, "paint-order": "stroke", stroke: "var(--paper)", "stroke-width": 4, ...data}));
    if (w.yours) out.push(rect((up ? x - size / 2 : x - size) - 7 * S, y - 18 * S, size + 14 * S, 26 * S, "var(--you)", {stroke: "#212121", "stroke-width": 1.5 * S, "stroke-dasharray": "4 3", rx: 4 * S}));
    out.push(text(x, y, t, {"text-anchor": up ? "middle" : "end", class: tone, style: `font-size:${px}px` + (w.yours ? ";fill:var(--on-you)" : "")}));
    const data = k => ({"data-cost": i === L.n ? "total" : i, "data-column": v.columns[k]});
    let end = L.W - sum(L.cols);
    if (L.many) for (let k = 0; k < L.M; k++) up ? put(mid, L.base + (54 + 27 * k) * S, w.cost[k], `n${k + 1}`, "middle", data(k)) : put(end += L.cols[k], low, w.cost[k], `n${k + 1}`, "end", data(k));
    else {
      put(up ? mid : L.q(tip) + 10 * S, up ? L.q(tip) - 12 * S : low, w.cost[0], "b n1", up ? "middle" : "start", data(0));
      put(up ? mid : L.W, up ? L.base + 54 * S : low, w.shown[0], "s", up ? "middle" : "end", {"data-p": i});
    }
    return out;
  }

  function word(L, w, i) {
    const shown = truthShown() && w.shown[L.M] !== "–", t = w.surprise[L.M], a = L.at(i) + L.bar / 2 - L.step / 2, from = L.so[0][i];
    const g = s("g", {role: "option", tabindex: i === at ? 0 : -1, "aria-selected": i === at, "aria-label": w.text + ": " + v.columns.map((c, k) => `${c} ${w.cost[k]} ${v.unit}, ${w.shown[k]}`).join("; "), ...KEYS,
      onclick: () => focus(i), ondblclick: edit, onfocus: () => { at = i; detail(w); }, onblur: () => ctx.say(ctx.view().readout)},
    L.up ? rect(a + 2, L.head - 30 * L.S, L.step - 4, L.height - L.head + 30 * L.S, "transparent") : rect(0, a + 1, L.W, L.step - 2, "transparent"));
    for (let k = 0; k < L.M; k++) { const q = L.so[k][i]; if (muted.has(k) || q === null) continue;
      g.append(...bar(L, i, k, q, L.so[k][i + 1], {"data-word": i, "data-column": v.columns[k], "data-x": w.surprise[k] === null ? "inf" : w.surprise[k]}), ...(shown ? outline(L, i, k, q, t) : [])); }
    g.append(...written(L, i, w, from === null ? 0 : w.surprise[0] === null || (shown && t === null) ? L.top : from + Math.max(w.surprise[0], shown ? t : 0), "mono b"));
    return g;
  }

  // the sum, and across it what the sentence cost at first, and what somebody claimed
  function total(L) {
    const {S, up, n} = L, out = [];
    for (let k = 0; k < L.M; k++) { if (muted.has(k)) continue;
      const [a, thick] = L.part(n, k), was = v.first && v.first.totals[k];
      out.push(...bar(L, n, k, 0, v.totals[k], {"data-total": v.totals[k] === null ? "inf" : v.totals[k], "data-column": v.columns[k]}));
      if (was) out.push(...L.across(a, thick, was, (L.many ? 0 : 6) * S, 1.75));
      if (was && up && !L.many && wide(v.first.label, L.note) < a - 10 * S - L.at(n - 1) - L.bar) [[v.first.label, -3], [v.first.shown[0], 13]].forEach(([t, dy]) => out.push(text(a - 12 * S, L.q(was) + dy * S, t, {"text-anchor": "end"}))); }
    if (v.claim) { const q = v.claim.totals[0]; out.push(...L.across(L.last, L.lastBar, q, 8 * S, 1.75, {"stroke-dasharray": `${6 * S} ${4 * S}`}),
      up ? text(L.W, L.q(q) - 7 * S, v.claim.label, {"text-anchor": "end", class: "bold"}) : text(L.q(q), L.last + L.lastBar + 22 * S, v.claim.label, {"text-anchor": "middle", class: "bold"})); }
    return [up ? "" : line(0, L.base + 3 * S, L.W, L.base + 3 * S, "var(--line)"), ...out, ...written(L, n, {text: "total", cost: v.total_cost.map(c => L.many || !up ? c : `${c} ${v.unit}`), shown: v.total_shown}, v.totals[0] === null ? L.top : v.totals[0], "b")];
  }

  function draw(view) {
    const held = chart.contains(document.activeElement), M = view.columns.length - view.has_truth;
    v = view; at = Math.max(0, Math.min(at, v.words.length - 1));
    legend.hidden = ctx.present() && ctx.root.clientWidth < 1100 && M === 1; // the row of a small projector is a word's
    if (toggle) { toggle.box.hidden = legend.hidden; toggle.el.textContent = "Show truth" + (ctx.get("show_truth") ? " ✓" : ""); toggle.el.setAttribute("aria-pressed", ctx.get("show_truth")); }
    legend.replaceChildren(...v.columns.slice(0, M).map((c, k) => h("span", {}, h("span", {class: `named n${k + 1}`}, mark(k), c, muted.has(k) ? " (hidden)" : ""), M > 1 ? "" : `: −${v.unit === "bits" ? "log₂" : "ln"} p(word | words before)`)),
      ...(truthShown() ? [h("b", {style: {color: "var(--ink)"}}, h("i", {style: {display: "inline-block", width: "1.1em", height: ".7em", border: "var(--stroke) solid var(--ink)", "margin-right": ".4em"}}), v.columns[M])] : []), ...(v.words.some(w => w.yours) ? [h("span", {class: "you", style: {padding: "0 5px"}}, "yours")] : []));
    if (!v.words.length) return chart.replaceChildren(h("div", {class: "empty"}, "Type a sentence above"));
    const L = layout();
    chart.replaceChildren(s("svg", {width: L.W, height: L.height, role: "listbox", "aria-label": "words and their surprise"}, axis(L), v.words.map((w, i) => word(L, w, i)), total(L)));
    if (held) items()[at].focus({preventScroll: true});
  }
  const items = () => [...chart.querySelectorAll("[role=option]")];
  function focus(i) { at = i; items().forEach((g, k) => { g.setAttribute("tabindex", k === at ? 0 : -1); g.setAttribute("aria-selected", k === at); }); items()[at].focus(); }
  function detail(w) { ctx.say([["mono", w.text], ["", ": "], ...v.columns.flatMap((c, k) => [[v.has_truth && k === v.columns.length - 1 ? "b" : `m${k + 1}`, c], ["", ` ${w.shown[k]}` + (w.cost[k] === "–" ? "" : `, ${w.cost[k]} ${v.unit}`) + (k < v.columns.length - 1 ? "; " : ". ")]]), ["", w.hidden ? "" : "Enter writes another word here."]]); }
  function edit() { const w = v.words[at]; if (w && !w.hidden) { box.focus(); box.setSelectionRange(w.start, w.end); } }
  const flip = () => { if (toggle) ctx.set("show_truth", !ctx.get("show_truth")); return true; };
  return {el, draw, click(name) { if (name === "reset") { muted.clear(); ctx.set("show_truth", first); draw(v); } return name === "show_truth" && flip(); }, keys: [["← →", "walk the words"], ["Enter", "write another word there"], ["t", "hide or show the truth"], ["1–4", "hide or show a model"]], key(e) {
    const to = step({key: {ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft"}[e.key] || e.key}, at, 0, v.words.length - 1);
    if (to !== undefined) focus(to);
    else if (e.key === "Enter" || e.key === " ") edit();
    else if (e.key === "t") flip();
    else if (/^[1-4]$/.test(e.key)) { const k = e.key - 1; muted.has(k) ? muted.delete(k) : muted.add(k); draw(v); }
    else return false;
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
