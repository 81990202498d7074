// SplitMatrix: X beside, W above, Y where they meet; each process has a color and a shape.
function picture(ctx) {
  const head = h("h4"), place = h("div"), tables = h("div", {style: {display: "flex", "flex-wrap": "wrap", gap: "calc(4*var(--u)) calc(6*var(--u))", "margin-top": "calc(6*var(--u))"}});
  const main = h("div", {style: {flex: "none", "max-width": "100%"}}, head, place, tables), title = h("h4"), parts = h("div"), more = h("div", {style: {"margin-top": "calc(5*var(--u))"}}), aside = h("div", {style: {flex: 1, "min-width": 0}}, title, parts, more), el = h("div", {class: "cols"}, main, aside);
  const press = ctx.input("start").box.querySelector("button");
  let v = null, items = [];
  const put = (part, home) => { if (part.parentNode !== home) home.append(part); };
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

  // whose columns or rows these are: a bar along the cut, and a shape
  const across = (p, a, b, {x, y, w, S}) => [rect(x + a * w, y - 3 * S, (b - a) * w - 1, 3 * S, edge(p)), shape(p, x + (a + b) / 2 * w, y - 32 * S, 6 * S, edge(p))];
  const down = (p, a, b, {x, y, tall, S}) => [rect(x - 5 * S, y + a * tall, 3 * S, (b - a) * tall - 1, edge(p)), shape(p, x - 14 * S, y + (a + b) / 2 * tall, 6 * S, edge(p))];

  // Y, or what of it there is room for: its numbers are walked
  function answers(is, js, how) {
    const [ci, cj] = chosen(), lines = is.map(i => { items[i] = []; return s("g", {role: "row"}); });
    matrix(is.map(i => js.map(j => v.product[i][j])), {...how, name: "y", strong: (k, l) => is[k] === ci && js[l] === cj, cell(g, k, l) {
      const i = is[k], j = js[l], p = how.owner(i, l), here = i === ci && j === cj; items[i][j] = g;
      for (const [key, to] of Object.entries({role: "gridcell", "aria-label": `${v.tokens[i]}, output ${v.outputs[j]}: ${said(v.product[i][j])}${p < 0 ? "" : `, from process ${p}`}`, "aria-selected": String(here), tabindex: here ? 0 : -1, "data-i": i, "data-j": j, ...KEYS})) g.setAttribute(key, to);
      g.addEventListener("click", () => choose(i, j)); lines[k].append(g); }});
    return s("g", {role: "grid", "aria-label": "the product: arrow keys choose a number"}, lines);
  }

  // where everything stands: X left of Y and W above it; null where that is too narrow
  function layout(W, P, tall) {
    const S = P ? 28 / 13 : 1, size = 13 * S, D = v.inputs.length, F = v.outputs.length, T = v.tokens.length, many = processes() > 1, bars = (many && v.cut === "rows" ? 22 : 6) * S, gap = (P ? 10 : 16) * S, head = 22 * S, shapes = many ? 24 * S : 0;
    const width = label => (W - label - gap - bars - 4) / (D + F), wide = names => Math.max(...names.map(t => wordWidth(ctx.root, t, size, true, true))) + 12 * S, least = cellWidth(size);
    if (width(0) < least) return null;
    const names = [130, 60].map(room => v.tokens.map(t => fitWord(ctx.root, t, Math.min(room, W * .2), size))).find(names => !P && width(wide(names)) >= least), label = names ? wide(names) : 0; // tokens are named as far as there is room
    const w = Math.min((P ? 48 : 60) * S, width(label)), x1 = label + D * w + gap + bars, xHead = head + (v.cut === "rows" ? shapes : 0), yW = head + (v.cut === "columns" ? shapes : 0), yY = yW + D * tall + xHead + 10 * S;
    return {S, size, D, many, label, names, w, tall, x0: label, x1, yW, yY, width: x1 + F * w, height: yY + T * tall + 4};
  }
  const cellWidth = size => wordWidth(ctx.root, said(-.88), size, false, true) + 2;

  // rows are as tall as there is room for
  const height = (flat, rows, room, P) => Math.max(P ? 32 : 22, Math.min(P ? 46 : 30, Math.floor((room - flat) / rows)));

  function product(W, room, P) {
    const flat = layout(W, P, 0).height, {S, size, D, many, label, names, w, tall, x0, x1, yW, yY, ...svg} = layout(W, P, height(flat, layout(W, P, 1).height - flat, room, P)), columns = v.cut === "columns", [ci, cj] = chosen(), all = list => list.map((_, i) => i), out = [], mid = (a, k) => a + k * w + w / 2;
    const whose = {w: (i, j) => many ? v.whose[columns ? j : i] : -1, x: (i, j) => many && !columns ? v.whose[j] : -1, y: (i, j) => many && columns ? v.whose[j] : -1};
    v.outputs.forEach((o, j) => [yW, yY].forEach(y => out.push(text(mid(x1, j), y - 8 * S, o, {"text-anchor": "middle", class: j === cj ? "bold" : "s"}))));
    v.inputs.forEach((o, j) => out.push(text(mid(x0, j), yY - 8 * S, o, {"text-anchor": "middle", class: "s"})));
    if (names) names.forEach((t, i) => out.push(text(label - 12 * S, yY + i * tall + tall / 2 + size * .36, t, {"text-anchor": "end", class: i === ci ? "mono bold" : "mono"})));
    out.push(...matrix(v.x, {x: x0, y: yY, w, tall, size, name: "x", owner: whose.x, strong: i => i === ci}), ...matrix(v.w, {x: x1, y: yW, w, tall, size, name: "w", owner: whose.w, strong: (i, j) => j === cj}));
    out.push(answers(all(v.tokens), all(v.outputs), {x: x1, y: yY, w, tall, size, owner: whose.y}));
    if (many) for (const [p, a, b] of groups(v.whose)) out.push(...across(p, a, b, {x: columns ? x1 : x0, y: columns ? yW : yY, w, S}), ...(columns ? across(p, a, b, {x: x1, y: yY, w, S}).slice(0, 1) : down(p, a, b, {x: x1, y: yW, tall, S})));
    out.push(frame(x0, yY + ci * tall, D * w, tall, S), frame(x1 + cj * w, yW, w, D * tall, S), frame(x1 + cj * w, yY + ci * tall, w, tall, S));
    // which matrix is which, in the corner where nothing stands
    (P ? ["↑ W, weights", "↓ X, inputs"] : ["above: W, the MLP’s weights", "below: X, what it reads", "where they meet: Y = X·W"]).forEach((t, k) => out.push(text(0, yW + 15 * S + k * (P ? tall : 21), t, {class: k > 1 ? "bold" : "s"})));
    return s("svg", {...svg, role: "group", "aria-label": "X times W is Y"}, out);
  }

  // with less room the chosen row of X stands upright: each number beside the row of W that it meets, sums below
  function upright(W, room, P) {
    const S = P ? 28 / 13 : 1, size = 13 * S, columns = v.cut === "columns", D = v.inputs.length, F = v.outputs.length, many = processes() > 1, [ci, cj] = chosen(), x0 = many && !columns ? 22 * S : 0, least = cellWidth(size), n = Math.min(F, Math.floor((W - x0 - 24 * S) / least) - 1), w = Math.max(least, Math.min(56 * S, (W - x0 - 24 * S) / (n + 1))), x1 = x0 + w + 12 * S, from = Math.max(0, cj - n + 1), js = v.outputs.map((_, j) => j).slice(from, from + n);
    const y0 = (many && columns ? 40 : 20) * S, tall = height(y0 + 12 * S, D + 1, room, P), y1 = y0 + D * tall + 8 * S, at = x1 + (cj - from) * w, mine = many ? (k, j) => v.whose[columns ? from + j : k] : () => -1, cap = (x, y, t, on) => text(x + w / 2, y, t, {"text-anchor": "middle", class: on ? "bold" : "s"}), out = [cap(x0, y0 - 6 * S, "X"), cap(x0, y1 + tall / 2 + size * .36, "Y"), ...js.map((j, k) => cap(x1 + k * w, y0 - 6 * S, v.outputs[j], j === cj)), from ? text(x1 - 11 * S, y0 - 6 * S, "…") : "", from + n < F ? text(x1 + n * w, y0 - 6 * S, "…") : ""];
    out.push(...matrix(v.x[ci].map(x => [x]), {x: x0, y: y0, w, tall, size, name: "x", owner: k => columns ? -1 : mine(k), strong: () => true}), ...matrix(v.w.map(row => js.map(j => row[j])), {x: x1, y: y0, w, tall, size, name: "w", owner: mine, strong: (k, j) => from + j === cj}),
      answers([ci], js, {x: x1, y: y1, w, tall, size, owner: (i, j) => columns ? mine(i, j) : -1}));
    if (many) for (const [p, a, b] of groups(columns ? js.map(j => v.whose[j]) : v.whose)) out.push(...(columns ? across(p, a, b, {x: x1, y: y0, w, S}) : down(p, a, b, {x: x0, y: y0, tall, S})));
    out.push(frame(x0, y0, w, D * tall, S), frame(at, y0, w, D * tall, S), frame(at, y1, w, tall, S));
    return s("svg", {width: x1 + n * w, height: y1 + tall + 4, role: "group", "aria-label": "X times W is Y"}, out);
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
    return h("div", {style: {display: "grid", "grid-template-columns": "auto auto", "justify-content": "start", gap: "0 32px", "line-height": 1.3}}, mine.flatMap(([p, x], k) => [h("span", {class: `named n${p + 1}`}, k ? "+ " : "", mark(p), `process ${p}`), h("b", {"data-summand": p, style: {"text-align": "right"}}, said(x))]), mine.length > 1 ? [h("span", {}, "="), h("b", {style: {"text-align": "right", "border-top": "2px solid var(--ink)"}}, said(v.product[ci][cj]))] : []);
  }
  const table = (heading, more, head, rows, name, P) => h("div", {style: {flex: "1 1 auto", "min-width": 0}}, h("h4", {}, heading, h("span", {}, more)), h("table", {}, h("thead", {}, h("tr", {}, head.map(t => h("th", {}, t)))), h("tbody", {}, rows.map(r => h("tr", {}, r.map((t, i) => h("td", {"data-cell": `${name}:${r[0]}:${i}`, style: {"font-weight": i === 2 && name === "sent" ? 700 : 400, "padding-top": P ? 0 : "5px", "padding-bottom": P ? 0 : "5px"}}, P ? t.replaceAll("columns", "cols") : t)))))));

  function paint() {
    if (!v || !v.x) return;
    const P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), beside = full > (P ? 1400 : 980), held = place.contains(document.activeElement), n = processes(), A = beside ? P ? 470 : Math.round(full * .35) : full, W = beside ? full - A - (P ? 64 : 40) : full, columns = v.cut === "columns";
    main.style.width = W + "px"; el.style.gap = P ? "64px" : "40px";
    const prompt = ctx.input("prompt").box, slider = ctx.input("processes"); prompt.style.flexBasis = "200px"; prompt.hidden = aside.hidden;
    ctx.labels["processes:value"] = P && `p = ${ctx.get("processes")}`; slider.show(ctx.get("processes")); slider.focus.style.width = aside.hidden ? "96px" : ""; // a projector shows no captions
    put(aside, beside ? el : ctx.after); put(tables, beside ? main : ctx.after); aside.hidden = P && !beside; tables.hidden = P; head.hidden = aside.hidden;
    head.replaceChildren(n === 1 ? "One process has it all" : columns ? "W cut by columns: " : "W cut by rows: ", h("span", {}, n === 1 ? "" : columns ? "every process has all of X" : P ? "and X by columns" : "and with it X by columns; nobody has Y before all is added"));
    place.replaceChildren(); items = [];
    const room = P || !beside ? ctx.room(el, 0, 1e4) - main.offsetHeight : 1e4;
    place.append((layout(W, P, 0) ? product : upright)(W, room, P));
    const counts = table("Sent ", "until every process has Y", ["", "predicted", "counted"], v.rows, "sent", P), short = r => P ? [r[0], r[1], r[3]] : r;
    const pairs = table(P ? "Two in a row " : "Two matrices in a row ", v.real ? "counted" : "predicted", short(["cut by", P ? "meet" : "meetings", "messages", "bytes"]), v.pairs.map(short), "pair", P);
    title.replaceChildren(P ? "The chosen number " : n === 1 ? "The product " : columns ? "Concatenate: " : "Sum: ", h("span", {}, P ? "" : v.real ? "what real processes made" : n === 1 ? "" : columns ? "parts go side by side" : "parts are summands"));
    parts.replaceChildren(P ? summands() : pieces(A));
    parts.style.minHeight = beside && !P ? "410px" : ""; more.style.marginTop = P ? "16px" : "calc(5*var(--u))";
    tables.replaceChildren(...(P ? [] : [counts, pairs])); more.replaceChildren(P ? pairs : "");
    press.className = v.running ? "" : "main"; press.setAttribute("aria-disabled", v.running); press.textContent = v.running ? "at work…" : P ? "▶ Run" : "▶ Run on real processes";
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
