// GenerationTree: a sentence that forks. The first continuation goes on in its line, the others below it.
function picture(ctx) {
  const tree = h("div", {}), nexts = h("div", {}), el = h("div", {}, tree, nexts);
  for (const name of ["forward", "back"]) ctx.input(name).box.style.alignSelf = "flex-end";
  ctx.input("edit").box.style.flex = "0 1 230px";
  let shown = null, playing = 0;

  // who stands in which line, and where in it; only what lies under an ancestor near enough to the chosen place
  function lay(v, L) {
    const below = v.twigs.map(() => []), T = v.twigs;
    T.forEach((t, i) => { if (i && !T[t.parent].closed) below[t.parent].push(i); });
    const wide = T.map(t => Math.max(wordWidth(ctx.root, t.text, L.body, true, true) + 12 * L.S, wordWidth(ctx.root, t.shown, L.note)) + L.gap);
    const path = []; for (let i = v.at; i >= 0; i = T[i].parent) path.unshift(i);
    let from = path[0], length = path.reduce((a, i) => a + wide[i], 0);
    const folded = new Set(), dots = 26 * L.S; // a path too long for the sheet is folded where nothing branches off, then cut from the left
    for (const i of [...path.slice(2, -1), ...path.slice(1, 2)]) { if (length <= L.room * .94) break; if (below[i].length > 1 || i === v.at) continue;
      length -= wide[i]; wide[i] = folded.has(T[i].parent) ? 0 : dots; length += wide[i]; folded.add(i); }
    for (const i of path.slice(0, -1)) { if (length <= L.room * .94) break; length -= wide[i]; from = path[path.indexOf(i) + 1]; }
    const x = [], line = [], cut = new Set(); let lines = 0;
    const walk = (i, at) => { x[i] = at; line[i] = lines; let any = false;
      for (const child of below[i]) { if (at + wide[i] + wide[child] - L.gap > L.room) { cut.add(i); continue; } if (any) lines++; any = true; walk(child, at + wide[i]); } };
    walk(from, 0);
    const first = Math.max(0, Math.min(line[v.at] - Math.floor(L.most / 2), lines + 1 - L.most));
    return {x, line, wide, below, cut, folded, from, first, lines: lines + 1, before: path.indexOf(from)};
  }

  function draw(v) {
    const held = tree.contains(document.activeElement), chosen = nexts.contains(document.activeElement) ? [...nexts.querySelectorAll("[role=option]")].indexOf(document.activeElement) : -1;
    const P = ctx.present(), small = P && ctx.root.clientWidth < 1100; // of a small projector: one row of controls, three lines
    if (ctx.root.clientWidth < 640 || small) v = {...v, twigs: v.twigs.map((t, i) => i ? t : {...t, text: t.text.split(" ").pop()})};
    shown = v;
    const wide = ctx.root.clientWidth > 720; // narrower than that, the style sheet stacks them
    ctx.input("edit").box.hidden = small;
    ctx.input("edit").box.style.flexBasis = P ? "390px" : "190px"; ctx.input("prompt").box.style.flexBasis = wide ? "300px" : "100%";
    const S = P ? 2 : 1, width = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), note = P ? 28 : 13, body = P ? 30 : 15, n = v.models.length;
    const names = v.models.map(name => fitWord(ctx.root, name, Math.max(40 * S, width * .3 / n), note, false));
    const columns = names.map((name, j) => Math.max(wordWidth(ctx.root, name, note, false, true) + 22 * S, ...v.twigs.map(t => wordWidth(ctx.root, t.products_shown[j], body, false, true))) + 14 * S);
    const numbers = columns.reduce((a, b) => a + b, 0), L = {S, note, body, gap: (small ? 11 : width < 600 ? 18 : 30) * S, room: width - numbers - 8 * S, most: small ? 3 : P ? 4 : 12, row: P ? 92 : 54, head: 30 * S};
    const G = lay(v, L), on = new Set(); for (let i = v.at; i >= 0; i = v.twigs[i].parent) on.add(i);
    const last = Math.min(G.lines, G.first + L.most), Y = i => L.head + (G.line[i] - G.first) * L.row, mid = i => Y(i) + 15 * S;
    const seen = i => G.line[i] !== undefined && G.line[i] >= G.first && G.line[i] < last, parts = [], leaf = i => !G.below[i].length, H = hatch("var(--quiet)", 8 * S);
    v.twigs.forEach((t, i) => { if (i === G.from || !seen(i) || G.folded.has(t.parent) || G.folded.has(i) && !G.wide[i]) return; // the thicker, the likelier; the chosen path in ink
      const p = t.parent, x1 = G.x[p] + G.wide[p] - L.gap + 3 * S, x2 = G.x[i] - 4 * S, thick = (1 + 6 * t.p) * S, bend = x1 + Math.min(9 * S, L.gap * .25), top = Math.max(mid(p), L.head - 8 * S), d = G.line[p] === G.line[i] ? `M${x1} ${mid(i)}H${x2}` : `M${bend} ${top}V${mid(i) - 6 * S}q0 ${6 * S} ${6 * S} ${6 * S}H${x2}`;
      parts[on.has(i) ? "push" : "unshift"](s("path", {d, fill: "none", stroke: on.has(i) ? "var(--m1)" : "var(--quiet)", "stroke-width": thick})); });
    const nodes = v.twigs.map((t, i) => { if (!seen(i)) return null;
      if (G.folded.has(i)) return G.wide[i] ? text(G.x[i], Y(i) + 20 * S, "…", {class: "bold"}) : null;
      const w = G.wide[i] - L.gap, here = i === v.at, g = s("g", {role: "treeitem", "aria-label": i ? `${t.text}, ${t.shown}; path ${t.products_shown[0]}${t.closed ? ", closed" : ""}` : "the prompt", "aria-selected": String(here), tabindex: here ? 0 : -1, class: "row", "data-node": i, "data-p": t.p, "data-product": t.products[0], ...KEYS, onclick: () => ctx.set("node", i), ondblclick: () => close(i)});
      g.append(rect(G.x[i] - 3 * S, Y(i), w + 6 * S, 30 * S, here ? "var(--ink)" : t.closed ? H.fill : t.typed ? "var(--you)" : "var(--paper)", {rx: 4 * S, ...(t.typed && !here ? {stroke: "#212121", "stroke-width": 1.5, "stroke-dasharray": "4 3"} : {})}),
        text(G.x[i] + 3 * S, Y(i) + 20 * S, t.text, {class: "mono" + (on.has(i) ? " bold" : ""), style: `font-size:${body}px;fill:${here ? "var(--paper)" : t.typed ? "var(--on-you)" : i ? "var(--ink)" : "var(--ink-2)"}`}));
      if (i) g.append(text(G.x[i] + 3 * S, Y(i) + 44 * S, t.closed ? "closed" : t.shown, {class: "s"}));
      if (G.cut.has(i)) g.append(text(G.x[i] + w + 8 * S, Y(i) + 20 * S, "…", {class: "s"}));
      return g; });
    const heads = []; let hx = width - numbers;
    names.forEach((name, j) => { hx += columns[j]; heads.push(shape(j, hx - wordWidth(ctx.root, name, note, false, true) - 11 * S, 10 * S, 5.5 * S, `var(--m${j + 1})`), text(hx, 15 * S, name, {"text-anchor": "end", class: `bold n${j + 1}`})); });
    const products = v.twigs.flatMap((t, i) => { if (!seen(i) || !leaf(i) && !G.cut.has(i) || !i) return []; let px = width - numbers;
      if (t.closed) return text(width, Y(i) + 20 * S, "closed", {"text-anchor": "end", class: "s"});
      return columns.map((c, j) => { px += c; return text(px, Y(i) + 20 * S, t.products_shown[j], {"text-anchor": "end", class: `n${j + 1}` + (on.has(i) ? " bold" : ""), style: `font-size:${body}px`}); }); });
    const notes = [G.folded.size && `… ${G.folded.size} folded`, G.before && `… ${G.before} before`, G.first && `${G.first} more above`, last < G.lines && `${G.lines - last} more below`].filter(Boolean).join(" · ");
    tree.replaceChildren(s("svg", {width, height: L.head + L.row * Math.max(small ? 3 : P ? 4 : 5, last - G.first), role: "tree", "aria-label": "the tree of texts"}, H.def, parts, nodes.filter(Boolean), products,
      text(0, 15 * S, notes || small && " " || "thicker is likelier; under a token its probability after its path", {class: "s"}), heads,
      P || width < 640 ? "" : text(width - numbers - 6 * S, 15 * S, "product of the path:", {"text-anchor": "end", class: "s"})));
    options(v, P, width, small);
    if (held) { const node = tree.querySelector(`[data-node="${v.at}"]`); if (node) node.focus({preventScroll: true}); }
    if (chosen >= 0) { const now = nexts.querySelectorAll("[role=option]"); if (now.length) now[Math.min(chosen, now.length - 1)].focus(); }
    if (v.ended && playing) play();
  }

  // what may come next at the chosen place: each a branch for the taking
  function options(v, P, width, small) {
    const list = v.nexts.slice(0, P ? 4 : width < 640 ? 3 : 6), top = Math.max(.01, ...list.map(c => c.p));
    const cell = (c, i) => h("div", {role: "option", tabindex: i ? -1 : 0, "aria-selected": String(c.branch >= 0), "aria-label": `${c.text}, ${c.shown}`, ...KEYS, "data-id": c.id, "data-p": c.p, onclick: () => take(c), style: {flex: "1 1 0", "min-width": 0, cursor: "pointer", "border-radius": "4px", padding: "2px 4px"}},
      h("div", {style: {display: "flex", "justify-content": "space-between", gap: "8px", "font-weight": 700, "font-size": "var(--body)"}}, h("span", {class: "mono", style: {overflow: "hidden", "text-overflow": "ellipsis", "white-space": "pre"}}, c.text), h("span", {class: "n1", style: {"white-space": "nowrap"}}, c.shown)),
      h("div", {style: {height: P ? "16px" : "10px", width: 100 * c.p / Math.max(top, .2) + "%", "max-width": "100%", "min-width": "1px", background: "var(--m1)"}}),
      P ? "" : h("div", {class: "cap"}, c.branch >= 0 ? "in the tree" : "open a branch"));
    const box = h("div", {role: "listbox", "aria-label": "what may come next", "aria-orientation": "horizontal", style: {display: "flex", gap: "calc(4*var(--u))"}}, list.map(cell));
    const shut = isShut(v, v.at), verb = shut ? "Open" : "Close";
    nexts.replaceChildren(h("h4", {hidden: small && !v.ended, style: {margin: "calc(3*var(--u)) 0 calc(2*var(--u))"}}, shut ? "This branch is closed" : v.ended ? "The text ends here" : "What may come next ", h("span", {}, shut ? " what it began counts no more" : v.ended ? " rewind, or choose another place" : `after ${v.twigs[v.at].text}`),
      v.at && !P ? h("button", {type: "button", ...KEYS, style: {height: "26px", "font-size": "var(--note)", "font-weight": 400, padding: "0 10px", "margin-left": "14px"}, onclick: () => close(v.at)}, `${verb} this branch`) : null), box);
    nexts.style.minHeight = small ? "64px" : P ? "140px" : "92px";
  }
  // a closed branch stays in sight and counts no more; the same act opens it again
  function isShut(v, i) { for (; i > 0; i = v.twigs[i].parent) if (v.twigs[i].closed) return i; return 0; }
  function close(i) { const shut = isShut(shown, i), now = ctx.get("closed"); if (i) ctx.set("closed", shut ? now.filter(k => k !== shut) : [...now, i]); }
  function take(c) { if (c.branch >= 0) ctx.set("node", c.branch); else ctx.set("branch", c.id); }
  function play() { playing = playing ? clearInterval(playing) || 0 : setInterval(() => { if (!el.isConnected || shown.ended) play(); else ctx.click("forward"); }, 300); }

  // along the text with ← →, between lines with ↑ ↓
  function walk(key) {
    const T = shown.twigs, at = shown.at, kids = T.flatMap((t, i) => i && t.parent === at ? [i] : []);
    if (key === "ArrowLeft") return Math.max(0, T[at].parent);
    if (key === "ArrowRight") return kids.length ? kids[0] : at;
    if (key === "Home") return 0;
    const all = [...tree.querySelectorAll("[data-node]")].map(g => [+g.dataset.node, g.getBBox()]), me = all.find(a => a[0] === at);
    if (!me || key === "End") return kids.length ? kids[0] : at;
    const side = all.filter(([, b]) => key === "ArrowUp" ? b.y < me[1].y - 4 : b.y > me[1].y + 4), far = b => Math.abs(b.y - me[1].y) * 9 + Math.abs(b.x - me[1].x);
    return side.length ? side.reduce((a, b) => far(b[1]) < far(a[1]) ? b : a)[0] : at;
  }
  return {el, draw, keys: [["← → ↑ ↓", "walk the tree"], ["Enter", "step, or open a branch"], ["Backspace", "rewind"], ["x", "close or open the branch"], ["Space", "write on, or stop"]], key(e) {
    const cells = [...nexts.querySelectorAll("[role=option]")], k = cells.indexOf(e.target);
    if (k >= 0) {
      const to = step({key: {ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft"}[e.key] || e.key}, k, 0, cells.length - 1);
      if (to !== undefined) { cells.forEach((c, i) => { c.tabIndex = i === to ? 0 : -1; }); cells[to].focus(); return true; }
      if (e.key === "Enter" || e.key === " ") { take(shown.nexts[k]); return true; }
    }
    if (/^(Arrow|Home|End)/.test(e.key)) ctx.set("node", walk(e.key));
    else if (e.key === "Enter") ctx.click("forward");
    else if (e.key === "x" || e.key === "Delete") close(shown.at);
    else if (e.key === "Backspace") ctx.click("back");
    else if (e.key === " ") play();
    else return false;
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
