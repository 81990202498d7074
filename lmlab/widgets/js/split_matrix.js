// SplitMatrix: X beside, W above, Y where they meet; each process has a color and a shape, and its parts stand aside.
function picture(ctx) {
  const head = h("h4"), place = h("div"), tables = h("div", {style: {display: "flex", "flex-wrap": "wrap", gap: "calc(4*var(--u)) calc(6*var(--u))", "margin-top": "calc(6*var(--u))"}});
  const main = h("div", {style: {flex: "none", "max-width": "100%"}}, head, place, tables), title = h("h4"), parts = h("div"), more = h("div", {style: {"margin-top": "calc(5*var(--u))"}}), aside = h("div", {style: {flex: 1, "min-width": 0}}, title, parts, more), el = h("div", {class: "cols"}, main, aside);
  const press = ctx.input("start").box.querySelector("button");
  let v = null, items = [];
  const tint = p => `color-mix(in srgb, var(--m${p + 1}) 30%, var(--paper))`, edge = p => `var(--m${p + 1})`, PLAIN = "var(--t1)";
  const said = x => num(x, Math.abs(x) >= 10 ? 1 : 2), processes = () => v.parts.length;
  const chosen = () => { const [i, j] = ctx.get("at"); return [Math.min(i, v.tokens.length - 1), Math.min(j, v.outputs.length - 1)]; };
  // runs of equal owners: [process, from, to)
  const groups = whose => whose.reduce((all, p, k) => { const last = all[all.length - 1]; if (last && last[0] === p) last[2] = k + 1; else all.push([p, k, k + 1]); return all; }, []);

  // one matrix: values at (x, y), cells w by tall; owner(i, j) is a process or -1, strong(i, j) belongs to the chosen number
  function matrix(values, {x, y, w, tall, size, name, owner, strong = () => false, cell}) {
    return values.flatMap((row, i) => row.map((value, j) => { const p = owner(i, j), g = s("g", {"data-in": name, "data-x": value, "data-process": p});
      g.append(rect(x + j * w, y + i * tall, w - 1, tall - 1, p < 0 ? PLAIN : tint(p)), text(x + j * w + w / 2 - .5, y + i * tall + tall / 2 + size * .36, said(value), {"text-anchor": "middle", "pointer-events": "none", class: strong(i, j) ? "bold" : ""}));
      if (cell) cell(g, i, j);
      return g; }));
  }
  const frame = (x, y, w, tall, S, stroke = "var(--ink)") => rect(x - 1, y - 1, w + 1, tall + 1, "none", {stroke, "stroke-width": 2 * S, "pointer-events": "none"});

  // where everything stands: X left of Y and W above it, or, where that is too narrow, one under the other
  function layout(W, P) {
    const S = P ? 28 / 13 : 1, size = 13 * S, D = v.inputs.length, F = v.outputs.length, many = processes() > 1, bars = (many && v.cut === "rows" ? 22 : 6) * S, least = wordWidth(ctx.root, said(-.88), size) + 2;
    const gap = 16 * S, fits = label => (W - label - gap - bars - 4) / (D + F), stacked = fits(0) < least, measured = room => v.tokens.map(t => fitWord(ctx.root, t, room, size));
    const wide = names => Math.max(...names.map(t => wordWidth(ctx.root, t, size, true, true))) + 12 * S, holds = names => (stacked ? (W - wide(names) - bars) / F : P ? 0 : fits(wide(names))) >= least; // tokens are named as far as there is room
    const names = [Math.min(130 * S, W * .2), 60 * S].map(measured).find(holds), label = names ? wide(names) : 0, only = P && stacked, rows = only ? [chosen()[0]] : v.tokens.map((_, i) => i);
    const w = Math.min(60 * S * (P ? .8 : 1), stacked ? (W - label - bars - 4) / F : fits(label)), tall = P ? (stacked ? 42 : 46) : 30, head = 22 * S, marks = 24 * S, x0 = label, x1 = stacked ? label + bars : label + D * w + gap + bars;
    const shapes = many ? marks : 0, xHead = head + (v.cut === "rows" ? shapes : 0), wHead = head + (v.cut === "columns" ? shapes : 0), apart = stacked ? (label ? 12 : 30) * S : 0, yX = xHead + (stacked && !label ? 20 * S : 0), yW = stacked ? yX + rows.length * tall + wHead + apart : wHead, yY = yW + D * tall + (stacked ? head + apart : Math.max(xHead, head) + 10 * S);
    return {S, size, D, F, many, stacked, label, names, rows, w, tall, x0, x1, yX: stacked ? yX : yY, yW, yY, width: x1 + F * w, height: yY + rows.length * tall + 4};
  }

  function product(W, P) {
    const L = layout(W, P), {S, size, D, F, many, w, tall, x0, x1, yX, yW, yY, rows} = L, columns = v.cut === "columns", [ci, cj] = chosen(), at = rows.indexOf(ci), out = [], mid = (a, k) => a + k * w + w / 2;
    const whose = {w: (i, j) => many ? v.whose[columns ? j : i] : -1, x: (i, j) => many && !columns ? v.whose[j] : -1, y: (i, j) => many && columns ? v.whose[j] : -1};
    v.outputs.forEach((o, j) => [yW, yY].forEach(y => out.push(text(mid(x1, j), y - 8 * S, o, {"text-anchor": "middle", class: j === cj ? "bold" : "s"}))));
    v.inputs.forEach((o, j) => out.push(text(mid(x0, j), yX - 8 * S, o, {"text-anchor": "middle", class: "s"})));
    if (L.label) for (const y of L.stacked ? [yX, yY] : [yY]) rows.forEach((i, k) => out.push(text(L.label - 12 * S, y + k * tall + tall / 2 + size * .36, L.names[i], {"text-anchor": "end", class: i === ci ? "mono bold" : "mono"})));
    out.push(...matrix(rows.map(i => v.x[i]), {x: x0, y: yX, w, tall, size, name: "x", owner: whose.x, strong: k => k === at}), ...matrix(v.w, {x: x1, y: yW, w, tall, size, name: "w", owner: whose.w, strong: (i, j) => j === cj}));
    items = [];
    const grid = s("g", {role: "grid", "aria-label": "the product: arrow keys choose a number"}), lines = rows.map(i => { items[i] = []; return s("g", {role: "row"}); });
    matrix(rows.map(i => v.product[i]), {x: x1, y: yY, w, tall, size, name: "y", owner: whose.y, strong: (k, j) => k === at && j === cj, cell(g, k, j) {
      const i = rows[k], p = whose.y(i, j), here = i === ci && j === cj; items[i][j] = g;
      for (const [key, to] of Object.entries({role: "gridcell", "aria-label": `${v.tokens[i]}, output ${v.outputs[j]}: ${said(v.product[i][j])}${p < 0 ? "" : `, from process ${p}`}`, "aria-selected": String(here), tabindex: here ? 0 : -1, "data-i": i, "data-j": j, ...KEYS})) g.setAttribute(key, to);
      g.addEventListener("click", () => choose(i, j)); lines[k].append(g); }});
    grid.append(...lines); out.push(grid);
    // whose what is: a bar and a shape along the cut
    const over = (x, y, p, a, b, mark) => out.push(rect(x + a * w, y - 3 * S, (b - a) * w - 1, 3 * S, edge(p)), mark ? shape(p, x + (a + b) / 2 * w, y - 32 * S, 6 * S, edge(p)) : "");
    if (many) for (const [p, a, b] of groups(v.whose)) {
      if (columns) { over(x1, yW, p, a, b, true); over(x1, yY, p, a, b, false); }
      else { over(x0, yX, p, a, b, true); out.push(rect(x1 - 5 * S, yW + a * tall, 3 * S, (b - a) * tall - 1, edge(p)), shape(p, x1 - 14 * S, yW + (a + b) / 2 * tall, 6 * S, edge(p))); }
    }
    out.push(frame(x0, yX + at * tall, D * w, tall, S), frame(x1 + cj * w, yW, w, D * tall, S), frame(x1 + cj * w, yY + at * tall, w, tall, S));
    // which matrix is which: in the corner where nothing stands, or above each
    const note = (y, string, tone = "s", x = 0) => out.push(text(x, y, string, {class: tone}));
    if (L.stacked && L.label) [[yX, "X, inputs"], [yW, "W, weights"], [yY, "Y = X·W"]].forEach(([y, name]) => note(y - 8 * S, name, "bold"));
    else if (L.stacked) { const up = k => 28 * S + (many && columns === k ? 24 * S : 0); note(12 * S, "X, what the MLP reads", "bold"); note(yW - up(true), "times W, its weights", "bold"); note(yY - 28 * S, "is Y", "bold"); }
    else if (!P) { note(yW + 15, "above: W, the MLP’s weights"); note(yW + 36, "below: X, what it reads"); note(yW + 57, "where they meet: Y = X·W", "bold"); }
    else ["↑ W, weights", "↓ X, inputs"].forEach((t, k) => note(yW + (k + .8) * tall, t));
    return s("svg", {width: L.width, height: L.height, role: "group", "aria-label": "X times W is Y"}, out);
  }

  // what each process has made, each in its place: some columns, to lie beside the others' columns, or a summand of all
  function pieces(W) {
    const columns = v.cut === "columns", n = processes(), F = v.outputs.length, T = v.tokens.length, [ci, cj] = chosen(), sign = 22, w = Math.max(30, Math.min(56, (W - sign) / F)), tall = n > 3 ? 24 : 26, above = 24, out = [];
    v.parts.forEach((part, p) => {
      const y = p * (above + T * tall + 8), from = columns && n > 1 ? v.whose.indexOf(p) : 0, wide = part[0].length, x = sign + from * w;
      out.push(shape(p, sign + 7, y + 11, 6, edge(p)), text(sign + 20, y + 16, `process ${p}`, {class: "bold n" + (p + 1)}));
      if (wide < F) out.push(rect(sign + .5, y + above + .5, F * w - 2, T * tall - 2, "none", {stroke: "var(--line)", "stroke-dasharray": "4 4"}));
      out.push(...matrix(part, {x, y: y + above, w, tall, size: 13, name: "part" + p, owner: () => p, strong: (i, j) => from + j === cj && i === ci}));
      if (p && !columns) out.push(text(2, y + above + T * tall / 2 + 5, "+", {class: "b"}));
      if (cj >= from && cj < from + wide) out.push(frame(sign + cj * w, y + above + ci * tall, w, tall, 1));
    });
    return s("svg", {width: sign + F * w, height: n * (above + T * tall + 8), role: "img", "aria-label": v.parts.map((_, p) => `process ${p}`).join(columns ? " beside " : " plus ")}, out);
  }
  // on a projector the chosen number alone
  function summands() {
    const [ci, cj] = chosen(), columns = v.cut === "columns", n = processes(), mine = v.parts.map((part, p) => columns ? n === 1 || v.whose[cj] === p ? [p, v.product[ci][cj]] : null : [p, part[ci][cj]]).filter(Boolean);
    return h("div", {style: {display: "grid", "grid-template-columns": "auto auto", "justify-content": "start", gap: "4px 32px"}}, mine.flatMap(([p, x], k) => [h("span", {class: `named n${p + 1}`}, k ? "+ " : "", mark(p), `process ${p}`), h("b", {"data-summand": p, style: {"text-align": "right"}}, said(x))]), mine.length > 1 ? [h("span", {}, "="), h("b", {style: {"text-align": "right", "border-top": "2px solid var(--ink)"}}, said(v.product[ci][cj]))] : []);
  }
  const table = (heading, more, head, rows, name, P) => h("div", {style: {flex: "1 1 auto", "min-width": 0}}, h("h4", {}, heading, h("span", {}, more)), h("table", {}, h("thead", {}, h("tr", {}, head.map(t => h("th", {}, t)))), h("tbody", {}, rows.map(r => h("tr", {}, r.map((t, i) => h("td", {"data-cell": `${name}:${r[0]}:${i}`, style: {"font-weight": i === 2 && name === "sent" ? 700 : 400, "padding-top": P ? "4px" : "5px", "padding-bottom": P ? "4px" : "5px"}}, t)))))));

  function paint() {
    if (!v || !v.x) return;
    const P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), beside = full > (P ? 1400 : 980), held = place.contains(document.activeElement), n = processes(), A = beside ? P ? 530 : Math.round(full * .35) : full, W = beside ? full - A - (P ? 64 : 40) : full, columns = v.cut === "columns";
    main.style.width = W + "px"; el.style.gap = P ? "64px" : "40px";
    ctx.input("prompt").box.style.flexBasis = "200px";
    (beside ? el : ctx.after).append(aside); aside.hidden = P && !beside;
    head.replaceChildren(n === 1 ? "One process has it all" : columns ? "W cut by columns: " : "W cut by rows: ", h("span", {}, n === 1 ? "" : columns ? "every process has all of X" : P ? "and X by columns" : "and with it X by columns; nobody has Y before all is added"));
    place.replaceChildren(product(W, P));
    const counts = table("Sent ", "until every process has Y", ["", "predicted", "counted"], v.rows, "sent", P), short = r => P ? [r[0], r[1], r[3]] : r;
    const pairs = table(P ? "Two in a row " : "Two matrices in a row ", v.real ? "counted" : "predicted", short(["cut by", P ? "meet" : "meetings", "messages", "bytes"]), v.pairs.map(short), "pair", P);
    title.replaceChildren(P ? "The chosen number " : n === 1 ? "The product " : columns ? "Concatenate: " : "Sum: ", h("span", {}, P ? "" : v.real ? "what real processes made" : n === 1 ? "" : columns ? "parts go side by side" : "parts are summands"));
    parts.replaceChildren(P ? summands() : pieces(A));
    parts.style.minHeight = P ? "220px" : beside ? "410px" : "";
    tables.replaceChildren(...(P ? [] : [counts, pairs])); more.replaceChildren(P ? pairs : "");
    press.disabled = v.running; press.textContent = v.running ? "at work…" : P ? "▶ Run" : "▶ Run on real processes";
    if (held) { const [i, j] = chosen(); if (items[i]) items[i][j].focus({preventScroll: true}); }
  }
  function choose(i, j) {
    const a = Math.max(0, Math.min(v.tokens.length - 1, i)), b = Math.max(0, Math.min(v.outputs.length - 1, j)), [oi, oj] = ctx.get("at");
    if (a !== oi || b !== oj) ctx.set("at", [a, b]);
    paint(); if (items[a]) items[a][b].focus({preventScroll: true});
  }
  ctx.model.on("change:at", paint);
  return {el, draw(view) { v = view; paint(); }, keys: [["← → ↑ ↓", "another number of the product"], ["Home End", "first and last of the row"], ["m", "run on real processes"]],
    click(name) { return name === "start" && v && v.running; },
    key(e) {
      if (e.key === "m" && v && !v.running) { ctx.click("start"); return true; }
      if (e.target.getAttribute("role") !== "gridcell") return false;
      const [i, j] = chosen(), to = {ArrowRight: [i, j + 1], ArrowLeft: [i, j - 1], ArrowDown: [i + 1, j], ArrowUp: [i - 1, j], Home: [i, 0], End: [i, 99], PageDown: [99, j], PageUp: [0, j]}[e.key];
      if (!to) return false;
      choose(...to);
      return true;
    }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
