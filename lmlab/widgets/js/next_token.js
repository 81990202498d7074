// NextToken: bars to be filled. The truth is an outline in ink; a model tries to fill it.
const measure = document.createElement("canvas").getContext("2d");
let reading = "sans-serif", coding = "monospace"; // the page's own families, set with each layout
function wide(string, px, mono, bold) {
  measure.font = `${bold ? 700 : 400} ${px}px ${mono ? coding : reading}`;
  return measure.measureText(string).width * 1.02;
}

// everything that depends on width, projector or number of models, decided in one place
function layout(ctx, v) {
  reading = getComputedStyle(ctx.root).fontFamily; coding = ctx.color("mono") || coding;
  const P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), narrow = full < 670, S = P ? 2 : 1;
  const note = P ? 28 : 13, n = v.columns.length, tight = narrow && n > 3, body = P ? (full < 1100 ? 28 : 30) : tight ? 13 : 15, models = n - (v.has_truth ? 1 : 0);
  const aside = !P && full > 1030 && n < 4, width = aside ? Math.min(full * .65, 780) : full;
  const large = P && full >= 1100;
  const bar = large ? [0, 48, 29, 20, 15][models] : S * [0, 20, 12, 9, 7][models], row = Math.max(models * (bar + 2 * S) + (large ? 28 : P ? 20 : 16), 40 * S * (P && !large ? .8 : 1));
  const names = v.columns.map(name => fit(name, Math.max(24 * S, width * .6 / n - 36 * S), note, false));
  const columns = names.map((name, i) => Math.max(wide(name, note, false, true) + 22 * S, ...v.rows.map(r => wide(r.shown[i], body)), wide(v.others.shown[i], body)) + 14 * S);
  const label = Math.min(width * (!narrow ? .26 : tight ? .2 : .3), Math.max(90 * S, wide(v.others.word, note), ...v.rows.map(r => wide(r.word, body, true, true))) + 14 * S);
  const numbers = columns.reduce((a, b) => a + b, 0), plot = Math.max(40, width - label - numbers - 16 * S);
  const top = Math.max(.05, ...v.rows.flatMap(r => r.probabilities), ...v.others.probabilities) * 1.03;
  return {P, S, note, body, narrow, aside, width, bar, row, tight, names, columns, label, plot, top, head: P ? 60 : 34, models};
}

const ticks = (top, room) => { const by = [.01, .02, .05, .1, .2, .25, .5, 1].find(d => top / d <= Math.min(4.2, room)) || 1; return Array.from({length: Math.floor(top / by) + 1}, (_, i) => i * by); };

function fit(string, room, px, mono = true) { // never cut in silence: the ellipsis says so, the row's label and the readout have it all
  if (wide(string, px, mono, true) <= room) return string;
  const keep = Math.max(3, Math.floor(room / wide("0", px, mono, true)) - 1), tail = Math.floor(keep / 3);
  return [...string].slice(0, keep - tail).join("") + "…" + (tail ? [...string].slice(-tail).join("") : "");
}

function picture(ctx) {
  const chart = h("div", {style: {flex: "none", "max-width": "100%"}}), mine = h("div", {style: {flex: 1, "min-width": 0}}), table = h("div");
  const el = h("div", {class: "cols"}, chart, mine), place = h("div", {style: {"margin-top": "calc(2*var(--u))"}}), whole = h("div", {}, el, place);
  const box = ctx.input("continuation").box;
  box.style.marginBottom = "16px"; mine.append(box, table);
  let at = 0, shown = null, answered = false, hideTruth = false, muted = new Set();

  const all = v => [...v.rows, v.others];
  const slot = (v, i) => i - (v.has_truth ? 1 : 0);
  const tone = (v, i) => slot(v, i) < 0 ? "bold" : `n${slot(v, i) + 1}`;

  function header(v, L) {
    const x0 = L.label, parts = ticks(L.top, L.plot / 44 / L.S).flatMap(t => { const x = x0 + L.plot * t / L.top;
      return [line(x, L.head - 4, x, L.head + L.row * all(v).length, "var(--line)"), text(x, L.head - 10 * L.S, Math.round(t * 100) + NARROW + "%", {"text-anchor": "middle", class: "s"})]; });
    let x = x0 + L.plot + 16 * L.S;
    L.names.forEach((name, i) => { x += L.columns[i];
      const w = wide(name, L.note, false, true) + 11 * L.S, y = L.head - 15 * L.S, k = slot(v, i);
      parts.push(k < 0 ? rect(x - w - 6 * L.S, y - 4 * L.S, 11 * L.S, 8 * L.S, "none", {stroke: "var(--ink)", "stroke-width": 1.5 * L.S}) : shape(k, x - w, y, 5.5 * L.S, `var(--m${k + 1})`),
        text(x, L.head - 10 * L.S, name, {"text-anchor": "end", class: `bold ${tone(v, i)}`}));
    });
    return parts;
  }

  function row(v, L, r, i) {
    const last = i === all(v).length - 1, y = L.head + i * L.row, mid = y + L.row / 2, x0 = L.label, x = p => L.plot * Math.min(p, L.top) / L.top;
    const said = `${r.word}: ` + v.columns.map((c, j) => `${c} ${r.shown[j]}`).join(", ");
    const g = s("g", {role: "option", "aria-label": said, "aria-selected": i === at, tabindex: i === at ? 0 : -1, class: "row", ...KEYS,
      onclick: () => focus(i), ondblclick: () => append(i), onfocus: () => detail(i), onblur: () => ctx.say(ctx.view().readout)});
    const end = x0 + L.plot + 16 * L.S + L.columns.reduce((a, b) => a + b, 0);
    g.append(rect(0, y + 1, end, L.row - 2, "transparent", {class: "hit", rx: 4}));
    if (last) g.append(line(0, y, end, y, "var(--line)"));
    g.append(text(L.label - 12 * L.S, mid + L.body * .34, last ? (L.tight ? "all others" : r.word) : fit(r.word, L.label - 14 * L.S, L.body), {"text-anchor": "end", class: last ? "s" : "mono b", style: `font-size:${last ? L.note : L.body}px`}));
    const high = L.models * (L.bar + 2 * L.S) - 2 * L.S;
    v.columns.forEach((_, j) => { const k = slot(v, j); if (k < 0 || muted.has(k)) return;
      const top = mid - high / 2 + k * (L.bar + 2 * L.S), w = x(r.probabilities[j]);
      g.append(rect(x0, top, w, L.bar, `var(--m${k + 1})`, {class: "eased"}));
      if (w > 22 * L.S && L.bar >= 7) g.append(shape(k, x0 + 9 * L.S, top + L.bar / 2, Math.min(3.4 * L.S, L.bar * .36), "var(--paper)"));
    });
    const t = v.has_truth && !hideTruth ? r.probabilities[0] : 0;
    if (t > 0) { const w = Math.max(x(t), 2), over = 5 * L.S, above = mid - high / 2 - over, below = mid + high / 2 + over;
      g.append(line(x0 + w, above, x0 + w, below, "var(--paper)", 5 * L.S), rect(x0, above, w, below - above, "none", {stroke: "var(--ink)", "stroke-width": 2 * L.S})); }
    let nx = x0 + L.plot + 16 * L.S;
    v.columns.forEach((_, j) => { nx += L.columns[j];
      if (!(slot(v, j) < 0 && hideTruth)) g.append(text(nx, mid + L.body * .34, r.shown[j], {"text-anchor": "end", class: tone(v, j), style: `font-size:${L.body}px`, "data-word": r.raw, "data-column": v.columns[j], "data-p": r.probabilities[j]})); });
    return g;
  }

  function tries(v, L) {
    if (!v.tries.length) return [h("div", {class: "cap"}, "Your words get a probability too: try a likely one, a rare one, one that breaks the grammar.")];
    const name = (c, i) => h("th", {}, slot(v, i) >= 0 ? mark(slot(v, i)) : "", fit(c, 96, 13, false));
    return [h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "you typed"), v.columns.map(name))),
      h("tbody", {}, v.tries.flatMap(t => [
        h("tr", {}, h("td", {style: {"white-space": "normal"}}, h("span", {class: "you"}, t.text)), t.shown.map((p, i) => h("td", {class: tone(v, i), style: {"font-weight": slot(v, i) < 0 ? 700 : 400}}, p))),
        h("tr", {}, h("td", {colspan: v.columns.length + 1, class: "cap", style: {border: 0, padding: "0 0 10px", "font-size": "var(--note)", color: "var(--ink-2)", "white-space": "normal"}}, spans(t.verdict)))])))];
  }

  function strip(v) { // on a projector the student's line is a strip
    const t = v.tries[0];
    return t ? [h("div", {style: {display: "flex", gap: "40px", "align-items": "center", "font-size": "var(--body)", "flex-wrap": "wrap"}}, h("span", {}, "You: ", h("span", {class: "you"}, t.text)),
      t.shown.map((p, i) => h("span", {}, slot(v, i) < 0 ? "truth " : mark(slot(v, i)), h("b", {class: tone(v, i)}, p))), h("span", {style: {color: "var(--ink-2)"}}, spans(t.verdict)))] : [];
  }

  function draw(v) {
    const held = chart.contains(document.activeElement);
    let rows = v.rows;
    if (ctx.present() && rows.length > 4) { // rows go before type shrinks
      const rest = rows.slice(4), sum = v.columns.map((_, i) => v.others.probabilities[i] + rest.reduce((a, r) => a + r.probabilities[i], 0));
      rows = rows.slice(0, 4); v = {...v, rows, others: {...v.others, word: "all others", probabilities: sum, shown: sum.map(pct)}};
    }
    shown = v; at = Math.min(at, all(v).length - 1);
    const L = layout(ctx, v), height = L.head + L.row * all(v).length + 4, room = L.head + L.row * ((L.P ? 4 : ctx.get("k")) + 1) + 4;
    (L.aside ? el : L.P ? place : ctx.after).append(mine);
    const svg = s("svg", {width: L.width, height, role: "listbox", "aria-label": "next words"}, header(v, L), all(v).map((r, i) => row(v, L, r, i)),
      line(L.label, L.head - 4, L.label, height, "var(--ink)", 1.25 * L.S));
    chart.replaceChildren(svg); chart.style.minHeight = room + "px"; // fewer words leave the sheet as tall as it was
    box.hidden = ctx.present(); table.replaceChildren(...(L.P ? strip(v) : tries(v, L)));
    if (held) { answered = true; focus(at); answered = false; } // the answer is read first, the row when the keys move again
  }

  const items = () => [...chart.querySelectorAll("[role=option]")];
  function focus(i) { at = Math.max(0, Math.min(all(shown).length - 1, i)); items().forEach((g, k) => { g.setAttribute("tabindex", k === at ? 0 : -1); g.setAttribute("aria-selected", k === at); }); items()[at].focus(); }
  function detail(i) { if (answered) return; const r = all(shown)[i]; at = i;
    ctx.say([["mono", r.word], ["", ": "], ...shown.columns.flatMap((c, j) => [[slot(shown, j) < 0 ? "b" : `m${slot(shown, j) + 1}`, c], ["", ` ${r.shown[j]}` + (r.probabilities[j] > 0 ? ` (${num(-Math.log2(r.probabilities[j]))} bits)` : "") + (j < shown.columns.length - 1 ? ", " : ". ")]]), ["", r.raw ? "Enter writes it into the prompt." : ""]]); }
  function append(i) { const r = shown.rows[i]; if (r) ctx.set("prompt", ctx.get("prompt").replace(/ $/, "") + r.raw); }
  return {el: whole, draw, keys: [["↑ ↓", "walk the words"], ["Enter", "write the word into the prompt"], ["t", "hide or show the truth"], ["1–4", "hide or show a model"]], key(e) {
    if (!chart.contains(e.target)) return false;
    const to = step({key: {ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft"}[e.key] || e.key}, at, 0, all(shown).length - 1);
    if (to !== undefined) focus(to);
    else if (e.key === "Enter" || e.key === " ") append(at);
    else if (e.key === "t") { hideTruth = !hideTruth; draw(ctx.view()); }
    else if (/^[1-4]$/.test(e.key)) { const k = e.key - 1; muted.has(k) ? muted.delete(k) : muted.add(k); draw(ctx.view()); }
    else return false;
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
