// Sampling: what is taken away is hatched, what is given stands beyond a notch; a dot is the share of the draws.
function picture(ctx) {
  const chart = h("div", {style: {flex: "none", "max-width": "100%"}}), aside = h("div", {style: {flex: 1, "min-width": 0}});
  const el = h("div", {class: "cols"}, chart, aside), below = h("div", {style: {"margin-top": "calc(2*var(--u))"}}), whole = h("div", {}, el, below);
  const draw1 = h("button", {type: "button", class: "main", ...KEYS, onclick: () => drawn()});
  ctx.input("prompt").box.style.flexBasis = "100%";
  let at = 0, shown = null, answered = false, muted = new Set();

  function drawn() { const v = ctx.view(); if (v.n_drawn) ctx.set("seed", ctx.get("seed") + 1); else ctx.set("n_drawn", 10000); }

  // everything that depends on width, projector or number of models, decided in one place
  function layout(v) {
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), n = v.effects.length, one = n === 1;
    const note = P ? 28 : 13, body = P ? (full < 1100 ? 28 : 30) : full < 670 && n > 2 ? 13 : 15, beside = !P && full > 1030 && n < 3, width = beside ? Math.min(full * .66, 780) : full;
    const bar = one ? 20 * S : Math.max(7, Math.round(26 / n)) * S * (P ? .8 : 1), row = Math.max(n * (bar + 2 * S) + (P ? 8 : 14) * S, P ? 62 : 40);
    const wide = (t, px, mono, bold) => wordWidth(ctx.root, t, px, mono, bold);
    // a column a number: before, after and drawn for one model, after for several
    const cols = one ? [{name: "before", text: r => r.bars[0].shown[0], tone: "s"}, {name: "after", text: r => r.bars[0].shown[1], tone: "n1"}, {name: "drawn", text: r => r.bars[0].shown[2], tone: ""}].slice(0, v.n_drawn ? 3 : 2)
      : v.effects.map((e, i) => ({name: fitWord(ctx.root, e.name, Math.max(30 * S, width * .5 / n - 30 * S), note, false), slot: i, text: r => r.bars[i].shown[1], tone: `n${i + 1}`}));
    for (const c of cols) c.width = Math.max(wide(c.name, note, false, true) + (c.slot === undefined ? 0 : 22 * S), ...v.rows.map(r => wide(c.text(r), body)), one ? 46 * S : 0) + 16 * S;
    const label = Math.min(width * .3, Math.max(96 * S, ...v.rows.map((r, i) => wide(r.word, i < v.rows.length - 1 ? body : note, i < v.rows.length - 1, true))) + 14 * S);
    const plot = Math.max(40, width - label - cols.reduce((a, c) => a + c.width, 0) - 14 * S);
    const top = Math.max(.05, ...v.rows.flatMap(r => r.bars.flatMap(b => [b.before, b.after, b.drawn || 0]))) * 1.03;
    return {P, S, full, note, body, beside, width, bar, row, cols, label, plot, top, n, one, head: P ? 60 : 34};
  }

  function header(v, L, rows) {
    const parts = percentTicks(L.top, L.plot / 44 / L.S).flatMap(t => { const x = L.label + L.plot * t / L.top;
      return [line(x, L.head - 4, x, L.head + L.row * rows.length, "var(--line)"), text(x, L.head - 10 * L.S, Math.round(t * 100) + NARROW + "%", {"text-anchor": "middle", class: "s"})]; });
    let x = L.label + L.plot + 14 * L.S;
    for (const c of L.cols) { x += c.width;
      if (c.slot !== undefined) parts.push(shape(c.slot, x - wordWidth(ctx.root, c.name, L.note, false, true) - 11 * L.S, L.head - 15 * L.S, 5.5 * L.S, `var(--m${c.slot + 1})`));
      parts.push(text(x, L.head - 10 * L.S, c.name, {"text-anchor": "end", class: `bold ${c.tone}`})); }
    return parts;
  }

  function row(v, L, r, i, rows, fills) {
    const last = i === rows.length - 1, y = L.head + i * L.row, mid = y + L.row / 2, x0 = L.label, X = p => L.plot * Math.min(p, L.top) / L.top, end = x0 + L.plot + 14 * L.S + L.cols.reduce((a, c) => a + c.width, 0);
    const said = `${r.word}: ` + v.effects.map((e, j) => `${e.name} ${r.bars[j].shown[0]}, then ${r.bars[j].shown[1]}${r.bars[j].shown[2] && ", drawn " + r.bars[j].shown[2]}`).join("; ");
    const g = s("g", {role: "option", "aria-label": said, "aria-selected": String(i === at), tabindex: i === at ? 0 : -1, class: "row", ...KEYS, onclick: () => focus(i), ondblclick: () => append(i), onfocus: () => detail(i), onblur: () => ctx.say(ctx.view().readout)});
    const cut = r.bars.every(b => b.shown[1] === "cut");
    g.append(rect(0, y + 1, end, L.row - 2, "transparent", {class: "hit", rx: 4}));
    if (last) g.append(line(0, y, end, y, "var(--line)"));
    g.append(text(x0 - 12 * L.S, mid + L.body * .34, last ? r.word : fitWord(ctx.root, r.word, x0 - 14 * L.S, L.body), {"text-anchor": "end", class: last || cut ? (last ? "s" : "mono s") : "mono b", style: `font-size:${last ? L.note : L.body}px`}));
    const high = L.n * (L.bar + 2 * L.S) - 2 * L.S;
    r.bars.forEach((b, j) => { if (muted.has(j)) return;
      const y1 = mid - high / 2 + j * (L.bar + 2 * L.S), from = X(b.before), to = X(b.after), tint = `var(--m${j + 1})`;
      g.append(rect(x0, y1, to, L.bar, tint, {class: "eased"}));
      if (from > to + .5) g.append(rect(x0 + to, y1, from - to, L.bar, fills[j]), rect(x0 + to, y1 + .6, from - to - .6, L.bar - 1.2, "none", {stroke: tint, "stroke-width": 1.2}));
      else if (to > from + 4 && from > 0) g.append(line(x0 + from, y1, x0 + from, y1 + L.bar, "var(--paper)", 2 * L.S));
      if (Math.min(from, to) > 24 * L.S && L.bar >= 7) g.append(shape(j, x0 + 9 * L.S, y1 + L.bar / 2, Math.min(3.4 * L.S, L.bar * .36), "var(--paper)"));
      if (b.drawn !== null && b.drawn + b.after > 0) g.append(s("circle", {cx: x0 + X(b.drawn), cy: y1 + L.bar / 2, r: Math.min(5 * L.S, L.bar * .42), fill: "var(--paper)", stroke: "var(--ink)", "stroke-width": 2 * L.S}));
    });
    let x = x0 + L.plot + 14 * L.S;
    for (const c of L.cols) { x += c.width; const t = c.text(r), gone = t === "cut";
      g.append(text(x, mid + L.body * .34, t, {"text-anchor": "end", class: gone ? "s" : c.tone, style: `font-size:${gone ? L.note : L.body}px`, "data-column": c.name})); }
    r.bars.forEach((b, j) => g.append(s("desc", {"data-word": r.raw, "data-model": v.effects[j].name, "data-before": b.before, "data-after": b.after, "data-drawn": b.drawn === null ? "" : b.drawn})));
    return g;
  }

  function legend(L) { // three little bars that say how to read the others
    const key = (label, ...marks) => h("span", {style: {display: "inline-flex", "align-items": "center", gap: "calc(1.5*var(--u))"}}, s("svg", {width: 30 * L.S, height: 12 * L.S, "aria-hidden": "true"}, marks), label);
    const H = hatch("var(--ink-2)"), c = "var(--ink-2)", k = L.S;
    return h("div", {class: "cap", style: {display: "flex", "flex-wrap": "wrap", gap: "calc(2*var(--u)) calc(5*var(--u))", "margin-top": "calc(2*var(--u))"}},
      L.P ? null : key("after the sampler", rect(0, k, 30 * k, 10 * k, c)), key("taken away", H.def, rect(.6, k, 29 * k, 10 * k, H.fill, {stroke: c})),
      key("added, beyond the notch", rect(0, k, 30 * k, 10 * k, c), line(15 * k, k, 15 * k, 11 * k, "var(--paper)", 2 * k)),
      ctx.view().n_drawn ? key("share of the draws", s("circle", {cx: 15 * k, cy: 6 * k, r: 4.5 * k, fill: "var(--paper)", stroke: "var(--ink)", "stroke-width": 2 * k})) : null);
  }

  function panel(v, L) {
    draw1.textContent = v.n_drawn ? "Draw again" : "Draw 10,000";
    if (L.P) return [h("div", {style: {display: "flex", gap: "8px 40px", "align-items": "center", "flex-wrap": "wrap", "font-size": "var(--body)"}}, draw1, L.full > 1100 ? legend(L) : null, v.effects.map((e, i) => e.fit && h("span", {}, mark(i), "p = ", h("b", {class: `n${i + 1}`}, e.fit_shown[1]))))];
    const said = v.n_drawn ? `${v.n_drawn.toLocaleString("en-US")} tokens, seed ${v.seed}` : "and count them against the bars", room = v.effects.length > 2 ? 60 : 110;
    const head = h("tr", {}, h("th", {}), v.effects.map((e, i) => h("th", {}, mark(i), h("span", {class: `n${i + 1}`, style: {"font-weight": 700}}, fitWord(ctx.root, e.name, room, 13, false)))));
    const one = (label, cell, attrs = () => ({})) => h("tr", {}, h("td", {style: {"white-space": "normal"}}, label), v.effects.map(e => h("td", attrs(e), cell(e))));
    const lines = [one("tokens left", e => e.kept), one("worth equal choices, before", e => e.choices[0]), one("after", e => e.choices[1]), ...(v.n_drawn ? [one("χ² / degrees of freedom", e => e.fit_shown[0]), one("p, if the bars are true", e => e.fit_shown[1], e => ({"data-p": e.fit ? e.fit.p : "", style: {"font-weight": 700}}))] : [])];
    const words = v.effects.filter(e => e.words.length).map((e, i) => h("div", {style: {"margin-top": "calc(4*var(--u))", "max-height": "94px", overflow: "hidden"}}, h("div", {class: "cap"}, v.effects.length > 1 ? `${e.name}, the first drawn` : "the first drawn"), e.words.map(w => h("span", {class: "tok"}, w)))).slice(0, 2);
    return [h("h4", {}, "The whole distribution"), h("table", {}, h("thead", {}, head), h("tbody", {}, lines)),
      h("div", {style: {display: "flex", gap: "calc(3*var(--u))", "align-items": "center", "margin-top": "calc(4*var(--u))"}}, draw1, h("span", {class: "cap"}, said)), ...words];
  }

  function draw(v) {
    const held = chart.contains(document.activeElement), pressed = document.activeElement === draw1;
    let rows = v.rows;
    const small = ctx.present() && ctx.root.clientWidth < 1100, most = small ? 4 : 5;
    if (ctx.present() && rows.length > most) { // rows go before type shrinks
      const rest = rows.slice(most - 1), sum = (j, what) => rest.reduce((a, r) => a + (r.bars[j][what] || 0), 0);
      rows = [...rows.slice(0, most - 1), {word: "all others", raw: "", bars: v.effects.map((e, j) => { const [b, a, d] = ["before", "after", "drawn"].map(w => sum(j, w)); return {before: b, after: a, drawn: rest.every(r => r.bars[j].drawn !== null) ? d : null, shown: [pct(b), !a && b ? "cut" : pct(a), v.n_drawn ? pct(d) : ""]}; })}];
      v = {...v, rows};
    }
    for (const name of ["temperature", "top_k", "top_p", "min_p"]) { const {box, cap, focus} = ctx.input(name); cap.style.display = "inline"; focus.style.width = small ? "82px" : ctx.present() ? "240px" : "124px"; box.style.marginRight = small ? "-14px" : ""; } // which is which, on a projector too; all four in one row
    shown = v; at = Math.min(at, rows.length - 1);
    const L = layout(v), height = L.head + L.row * rows.length + 4, hatched = v.effects.map((_, j) => hatch(`var(--m${j + 1})`));
    chart.replaceChildren(s("svg", {width: L.width, height, role: "listbox", "aria-label": "next words"}, hatched.map(x => x.def), header(v, L, rows), rows.map((r, i) => row(v, L, r, i, rows, hatched.map(x => x.fill))), line(L.label, L.head - 4, L.label, height, "var(--ink)", 1.25 * L.S)), L.P ? "" : legend(L));
    (L.beside ? el : L.P ? below : ctx.after).append(aside);
    aside.replaceChildren(...panel(v, L));
    if (pressed) draw1.focus();
    if (held) { answered = true; focus(at); answered = false; } // the answer is read first, the row when the keys move again
  }

  const items = () => [...chart.querySelectorAll("[role=option]")];
  function focus(i) { at = Math.max(0, Math.min(shown.rows.length - 1, i)); items().forEach((g, k) => { g.setAttribute("tabindex", k === at ? 0 : -1); g.setAttribute("aria-selected", k === at); }); items()[at].focus(); }
  function detail(i) { if (answered) return; at = i; const r = shown.rows[i];
    ctx.say([["mono", r.word], ["", ": "], ...shown.effects.flatMap((e, j) => { const b = r.bars[j].shown; return [[`m${j + 1}`, e.name], ["", ` from ${b[0]} to `], ["b", b[1]], ["", (b[2] ? `, drawn ${b[2]}` : "") + (j < shown.effects.length - 1 ? "; " : ". ")]]; }), ["", r.raw ? "Enter writes it into the prompt." : ""]]); }
  function append(i) { const r = shown.rows[i]; if (r && r.raw) ctx.set("prompt", ctx.get("prompt").replace(/ $/, "") + r.raw); }
  return {el: whole, draw, keys: [["↑ ↓", "walk the words"], ["Enter", "write the word into the prompt"], ["d", "draw"], ["1–4", "hide or show a model"]], key(e) {
    if (e.key === "d") { drawn(); return true; }
    if (!chart.contains(e.target)) return false;
    const to = step({key: {ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft"}[e.key] || e.key}, at, 0, shown.rows.length - 1);
    if (to !== undefined) focus(to);
    else if (e.key === "Enter" || e.key === " ") append(at);
    else if (/^[1-4]$/.test(e.key)) { const k = e.key - 1; muted.has(k) ? muted.delete(k) : muted.add(k); draw(ctx.view()); }
    else return false;
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
