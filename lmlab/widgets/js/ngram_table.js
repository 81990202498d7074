// NGramTable: what followed, where it stands in the text, whose count decides, and perplexity against n.
const NICE = {"none": "none", "add-k": "add k", "interpolated": "interpolation", "backoff": "backoff"};

function picture(ctx) {
  const h1 = h("h4"), head = h("div"), list = h("div", {role: "listbox", "aria-label": "tokens that followed"}), h2 = h("h4", {style: {"margin-top": "calc(5*var(--u))"}}), read = h("div");
  const h3 = h("h4"), ladder = h("div"), h4 = h("h4", {style: {"margin-top": "calc(5*var(--u))"}}), curve = h("div"), said = h("span", {style: {"font-weight": 700, color: "var(--ink)"}}), h5 = h("h4", {style: {"margin-top": "calc(5*var(--u))"}}), sample = h("div", {class: "mono", style: {"min-height": "4.4em", color: "var(--ink-2)", "overflow-wrap": "anywhere"}});
  const left = h("div", {style: {flex: "1 1 0", "min-width": 0}}, h1, head, list, h2, read), right = h("div", {style: {flex: "none", "max-width": "100%"}}, h3, ladder, h4, curve, h5, sample);
  const el = h("div", {class: "cols"}, left, right);
  const again = ctx.input("again").box; again.firstChild.remove();
  h5.append(said, again); h5.style.cssText += "display:flex;justify-content:space-between;align-items:center;gap:12px";
  let at = 0, shown = null, answered = false;
  const alone = () => ctx.root.clientWidth < (ctx.present() ? 1400 : 720); // no room for two columns

  function grid(v) { // one set of columns for the header and every row
    const longest = Math.max(6, ...v.rows.map(r => [...r.word].length)), narrow = alone();
    return `minmax(0, ${Math.min(narrow ? 12 : 18, longest + 1)}ch) minmax(40px, 1fr) ${narrow ? 4 : 5.2}em repeat(${v.columns.length}, ${narrow && !ctx.present() ? 4.2 : 5.2}em)`;
  }
  const cells = (v, ...kids) => ({display: "grid", "grid-template-columns": grid(v), "column-gap": "calc(3*var(--u))", "align-items": "center"});
  const right_ = {"text-align": "right", "white-space": "nowrap", overflow: "hidden", "text-overflow": "ellipsis"};

  function header(v) {
    head.replaceChildren(h("div", {style: {...cells(v), padding: "0 0 calc(2*var(--u))"}}, h("span"), h("span"),
      h("span", {class: "cap", style: right_}, "count"), v.columns.map((name, i) => h("b", {class: `n${i + 1}`, style: {...right_, "font-size": "var(--note)"}, title: name}, mark(i), name))));
  }

  function row(v, r, i, top) {
    const share = r.count / Math.max(1, v.total), bar = (p, fill) => h("i", {class: "eased", style: {display: "block", height: "calc(2*var(--u))", width: 100 * Math.min(1, p / top) + "%", background: fill, "margin-bottom": "2px"}});
    const said = `${r.word}: ${r.count} of ${v.total}; ` + v.columns.map((c, j) => `${c} ${r.shown[j]}`).join(", ");
    return h("div", {role: "option", tabindex: i === at ? 0 : -1, "aria-selected": i === at, "aria-label": said, "data-word": r.word, "data-count": r.count, ...KEYS, onclick: () => focus(i), onfocus: () => { pick(i); tell(i); }, onblur: () => ctx.say(ctx.view().readout),
      style: {...cells(v), padding: "calc(1.5*var(--u)) 0", "border-top": "1px solid var(--line)", cursor: "pointer", background: i === at ? "var(--t1)" : "none"}},
      h("span", {class: "mono", style: {"font-weight": 700, "text-align": "right", overflow: "hidden", "text-overflow": "ellipsis", "white-space": "nowrap"}}, r.word),
      h("span", {style: {"border-left": "1.25px solid var(--ink)", "padding-top": "2px"}}, bar(share, "var(--quiet)"), r.probabilities.map((p, j) => bar(p, `var(--m${j + 1})`))),
      h("b", {style: {"text-align": "right"}}, r.count.toLocaleString("en-US")), r.shown.map((p, j) => h("span", {class: `n${j + 1}`, "data-column": v.columns[j], "data-p": r.probabilities[j], style: {"text-align": "right", "white-space": "nowrap"}}, p)));
  }

  function lines(v) { // the very places in the text
    const r = v.rows[at], most = ctx.present() ? 2 : 5, P = r ? r.places.slice(0, most) : [];
    const of_ = ctx.present() ? ": " : `: “${(v.context.trim() + " ").trimStart()}${r ? r.word.replace(/^·/, "") : ""}”, `;
    h2.replaceChildren("The very places", h("span", {}, r && r.count ? of_ + `${P.length < r.count ? `the first ${P.length} of ${r.count.toLocaleString("en-US")}` : r.count === 1 ? "1" : "all " + r.count}` : ": none"));
    const side = {flex: "1 1 0", "min-width": 0, "white-space": "pre", overflow: "hidden", "text-overflow": "ellipsis", color: "var(--ink-2)"};
    read.replaceChildren(...P.map(p => h("div", {class: "place", style: {display: "flex", "border-top": "1px solid var(--line)", padding: "calc(1.2*var(--u)) 0", "font-family": "var(--mono)", "font-size": "calc(.93*var(--body))"}},
      h("span", {style: {...side, direction: "rtl", "text-align": "right"}}, h("bdi", {dir: "ltr"}, p.before)), h("span", {style: {"white-space": "pre", background: "var(--t2)"}}, p.context),
      h("b", {style: {"white-space": "pre", "box-shadow": "inset 0 -2px 0 var(--ink)"}}, p.next.replace(/^·/, " ")), h("span", {style: side}, p.after))));
    read.style.minHeight = `calc(${Math.max(1, Math.min(most, Math.max(...v.rows.map(q => q.places.length))))}*(1.35*var(--body) + 2.4*var(--u) + 1px))`;
  }

  function rungs(v) {
    ladder.replaceChildren(h("table", {}, h("tbody", {}, v.levels.map(l => h("tr", {}, h("td", {class: "mono", style: {"max-width": "0", width: "100%", overflow: "hidden", "text-overflow": "ellipsis", padding: "calc(1.2*var(--u)) 0", "white-space": "pre"}}, l.context),
      h("td", {style: {padding: "calc(1.2*var(--u)) 0 calc(1.2*var(--u)) calc(3*var(--u))", color: "var(--ink-2)"}}, l.total ? l.total.toLocaleString("en-US") + "×" : l.context.startsWith("“") ? "never" : ""), h("td", {style: {padding: "calc(1.2*var(--u)) 0 calc(1.2*var(--u)) calc(3*var(--u))", "font-weight": l.weight > 0 ? 700 : 400}}, l.shown))))));
  }

  function plot(v, W) {
    const P = ctx.present(), S = P ? 2 : 1, H = (P ? 150 : 200) * S, l = 40 * S, b = 24 * S, rightRoom = 116 * S, N = Math.max(1, ...Object.values(v.perplexity).map(c => c.length));
    const all = [...Object.values(v.perplexity).flat(), ...v.others.map(o => o[1])].filter(p => p !== null && p > 0), lo = Math.max(1, Math.min(...all) * .85), hi = Math.max(...all) * 1.15;
    const x = n => l + (W - l - rightRoom) * (n - 1) / Math.max(1, N - 1), top = 24 * S, y = p => H - b - (H - b - top) * Math.log(p / lo) / Math.log(hi / lo);
    const parts = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000].filter((t, i, a) => t >= lo && t <= hi && (hi / lo < 200 || String(t)[0] !== "2")).flatMap(t => [line(l, y(t), W - rightRoom, y(t), "var(--line)"), text(l - 8 * S, y(t) + 4.5 * S, t.toLocaleString("en-US"), {"text-anchor": "end", class: "s"})]);
    for (let n = 1; n <= N; n++) parts.push(text(x(n), H - 4 * S, n === 1 ? "n = 1" : n, {"text-anchor": "middle", class: n === v.n ? "bold" : "s"}));
    const ends = [];
    for (const [name, ps] of Object.entries(v.perplexity).filter(([name, ps]) => name === v.smoothing || !ps.includes(null)).sort(([name]) => name === v.smoothing ? 1 : -1)) {
      const mine = name === v.smoothing, points = ps.map((p, i) => [i + 1, p]), there = points.filter(q => q[1] !== null), tone = mine ? "var(--m1)" : "var(--quiet)";
      if (there.length > 1) { parts.push(s("path", {d: there.map(([n, p], i) => `${i ? "L" : "M"}${x(n)} ${y(p)}`).join(""), fill: "none", stroke: tone, "stroke-width": (mine ? 3 : 2) * S})); const [last, p] = there.at(-1), at = last === N ? null : x(last) + 10 * S; if (at === null) ends.push([y(p), NICE[name], mine ? "bold n1" : "s"]); else if (mine) parts.push(text(at, y(p) + 4.5 * S, NICE[name], {class: "bold n1 halo"})); }
      if (mine) for (const [n, p] of points) parts.push(p === null ? text(x(n), 14 * S, "∞", {"text-anchor": "middle", class: "bold n1"}) : s("circle", {cx: x(n), cy: y(p), r: (n === v.n ? 6 : 3.5) * S, fill: "var(--m1)", stroke: n === v.n ? "var(--ink)" : "none", "stroke-width": 2 * S, "data-n": n, "data-perplexity": p}));
    }
    v.others.forEach(([name, p], i) => { if (p === null) return; parts.push(line(l, y(p), W - rightRoom, y(p), `var(--m${i + 2})`, 3 * S), shape(i + 1, l + 8 * S, y(p), 5 * S, `var(--m${i + 2})`)); ends.push([y(p), `${[...name].length > 9 ? [...name].slice(0, 8).join("") + "…" : name} ${num(p)}`, `bold n${i + 2}`]); });
    let high = H - b; // labels keep a line's distance, the lowest at the axis
    for (const [yy, said, tone] of ends.sort((a, b) => b[0] - a[0])) { const to = Math.min(yy, high); high = to - 17 * S; parts.push(text(W - rightRoom + 8 * S, to + 4.5 * S, said, {class: tone})); }
    curve.replaceChildren(s("svg", {width: W, height: H, role: "img", "aria-label": "perplexity on new text by n"}, parts));
  }

  function draw(v) {
    const held = list.contains(document.activeElement), P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), narrow = alone();
    if (P) v = {...v, rows: v.rows.slice(0, 4)};
    if (!shown || shown.context !== v.context) at = 0;
    shown = v; at = Math.max(0, Math.min(at, v.rows.length - 1));
    ctx.input("k").box.hidden = v.smoothing !== "add-k";
    const W = narrow ? full : P ? Math.min(760, full * .42) : Math.min(430, full * .38), top = Math.max(.02, ...v.rows.flatMap(r => [r.count / Math.max(1, v.total), ...r.probabilities]));
    (P && narrow ? ctx.after : el).append(right); // a small projector shows the counts and the sentence first
    right.style.width = W + "px"; left.style.flex = narrow && !P ? "none" : "1 1 0";
    h1.replaceChildren(v.context ? `What followed “${v.context.trim()}”${P ? "" : ": "}` : P ? "What stands anywhere" : "What stands anywhere: ", h("span", {}, P ? "" : `${v.total.toLocaleString("en-US")} ${v.total === 1 ? "place" : "places"}; gray: share of the count`));
    header(v); list.replaceChildren(...v.rows.map((r, i) => row(v, r, i, top))); lines(v);
    h3.replaceChildren("Whose count decides: ", h("span", {}, "context, times read, share")); rungs(v); h3.hidden = ladder.hidden = P; h4.style.marginTop = P ? 0 : "calc(5*var(--u))"; ladder.style.minHeight = "228px";
    const measured = Object.keys(v.perplexity).length > 0; h4.hidden = curve.hidden = !measured;
    h4.replaceChildren("Perplexity on new text, ", h("span", {}, "by n; log scale")); if (measured) plot(v, W);
    said.replaceChildren("It writes on: ", h("span", {}, v.silent ? "then falls silent: it never read this" : "at most 24 tokens")); sample.replaceChildren(h("span", {style: {color: "var(--ink)"}}, (ctx.get("prompt") || "").slice(-60)), v.sample + (v.silent ? " …" : ""));
    if (held) { answered = true; focus(at); answered = false; }
  }

  const options = () => [...list.children];
  function pick(i) { at = i; options().forEach((o, k) => { o.tabIndex = k === at ? 0 : -1; o.setAttribute("aria-selected", k === at); o.style.background = k === at ? "var(--t1)" : "none"; }); lines(shown); }
  function focus(i) { const to = Math.max(0, Math.min(shown.rows.length - 1, i)); if (options()[to]) options()[to].focus(); }
  function tell(i) { if (answered) return; const r = shown.rows[i];
    ctx.say([["mono", r.word], ["", " followed in "], ["b", `${r.count.toLocaleString("en-US")} of ${shown.total.toLocaleString("en-US")}`], ["", " places: "], ...shown.columns.flatMap((c, j) => [[`m${j + 1}`, c], ["", ` ${r.shown[j]}${j < shown.columns.length - 1 ? ", " : "."}`]])]); }
  return {el, draw, keys: [["↑ ↓", "walk the tokens; their places follow"]], key(e) {
    if (!list.contains(e.target)) return false;
    const to = step({key: {ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft"}[e.key] || e.key}, at, 0, shown.rows.length - 1);
    if (to === undefined) return false;
    focus(to); return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
