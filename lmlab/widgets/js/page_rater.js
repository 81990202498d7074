// PageRater: one page as it was found; beneath it three rows of ratings, two of them covered until they are revealed.
function picture(ctx) {
  const url = h("div", {class: "mono", style: {"font-size": "var(--note)", color: "var(--ink-2)", "overflow-wrap": "anywhere", "margin-bottom": "calc(2*var(--u))"}}), body = h("div", {class: "mono", tabindex: 0, role: "document", "aria-label": "the page", ...KEYS, style: {"white-space": "pre-wrap", "overflow-wrap": "anywhere", "unicode-bidi": "plaintext", "overflow-y": "auto", "line-height": 1.4}}), told = h("div", {style: {"min-height": "1.5em", "margin-top": "calc(2*var(--u))"}});
  const sheet = h("div", {style: {border: "1px solid var(--line)", "border-radius": "6px", padding: "calc(3*var(--u)) calc(4*var(--u))", background: "var(--t1)"}}, url, body), h1 = h("h4"), h2 = h("h4", {style: {"margin-top": "calc(3*var(--u))"}}, "Who would keep it ", h("span", {}, "k keep, d drop")), grid = h("div"), el = h("div", {}, h1, sheet, told, h2, grid);
  const ROWS = [["you", "yours"], ["classifier", "classifier"], ["planted", "truth"]];
  let v = null;

  function cells(W, P) {
    const S = P ? 2 : 1, note = P ? 28 : 13, n = v.yours.length, left = (P ? 150 : 84) + 10, row = (P ? 44 : 28), w = Math.min(P ? 70 : 44, (W - left - 4) / n), kids = [], marks = [], top = note * 1.4;
    const hatch = "h" + Math.random().toString(36).slice(2);
    kids.push(s("defs", {}, s("pattern", {id: hatch, width: 6 * S, height: 6 * S, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"}, line(0, 0, 0, 6 * S, "var(--edge)", 1.5 * S))));
    ROWS.forEach(([name, field], r) => {
      const y = top + r * row;
      kids.push(text(left - 10, y + row * .62, name, {"text-anchor": "end", class: r === 1 ? "bold n1" : "bold", style: `font-size:${note}px`}));
      for (let i = 0; i < n; i++) { const c = v[field][i], x = left + i * w, fill = !v[field] ? `url(#${hatch})` : c === "-" ? "none" : r === 0 ? "var(--you)" : r === 1 && c === "k" ? "var(--m1)" : "none";
        const edge = r === 0 && c !== "-" ? {stroke: "var(--ink)", "stroke-width": 1.5 * S, "stroke-dasharray": "4 3"} : {stroke: r === 2 && c === "k" ? "var(--ink)" : r === 1 && c ? "var(--m1)" : "var(--line)", "stroke-width": (r === 2 && c === "k" ? 2 : 1) * S};
        kids.push(rect(x + 2, y + 2, w - 4, row - 4, fill, {rx: 3, ...edge, "data-row": name, "data-rating": c || "", "data-at": i}));
        if (c && c !== "-") kids.push(text(x + w / 2, y + row * .64, c, {"text-anchor": "middle", class: "mono", style: `font-size:${Math.min(note, w * .7)}px;fill:${r === 0 ? "var(--on-you)" : r === 1 && c === "k" ? "var(--on-m1)" : "var(--ink)"}`})); }
    });
    for (let i = 0; i < n; i++) { const x = left + i * w, here = i === v.number - 1;
      if (w >= note * 1.6 || i % 5 === 4 || !i) kids.push(text(x + w / 2, note, i + 1, {"text-anchor": "middle", class: here ? "bold" : "s", style: `font-size:${P ? Math.min(note, 28) : note}px`}));
      if (here) kids.push(rect(x, top - 1, w, 3 * row + 2, "none", {stroke: "var(--ink)", "stroke-width": 2 * S, rx: 4}));
      marks.push(s("g", {role: "option", tabindex: here ? 0 : -1, "aria-selected": here, "aria-label": `page ${i + 1}: ${ROWS.map(([name, f]) => `${name} ${{k: "keep", d: "drop", "-": "not rated"}[v[f][i]] || "covered"}`).join(", ")}`, ...KEYS, onclick: () => go(i)}, rect(x, 0, w, top + 3 * row, "transparent", {class: "hit", style: "cursor:pointer"}))); }
    const held = grid.contains(document.activeElement);
    grid.replaceChildren(s("svg", {width: W, height: top + 3 * row + 4, role: "listbox", "aria-label": "ratings of all pages", "aria-orientation": "horizontal"}, kids, marks));
    if (held) grid.querySelector("[tabindex='0'][role=option]").focus();
  }
  const go = i => ctx.set("page", Math.max(1, Math.min(v.yours.length, i + 1)));

  function draw(view) {
    const same = v && v.number === view.number; v = view;
    const P = ctx.present(), W = Math.max(280, ctx.root.clientWidth - (P ? 96 : 50));
    h1.replaceChildren(`Page ${v.number} of ${v.yours.length} `, h("span", {}, "as it was found"));
    url.textContent = v.url;
    body.style.fontSize = P ? "28px" : "14px";
    body.replaceChildren(v.text, v.more ? h("span", {style: {color: "var(--ink-2)"}}, `\n… ${v.more.toLocaleString("en-US")} more characters`) : "");
    if (!same) body.scrollTop = 0;
    told.replaceChildren(...(v.kind ? ["Planted as ", h("b", {}, v.kind), "; the classifier’s score: ", h("b", {}, v.score)] : [h("span", {class: "cap"}, "What it was made as, and the classifier’s score, appear on Reveal.")]));
    h2.hidden = P; cells(W, P);
    body.style.height = (P ? ctx.room(body, 120, 420) : 250) + "px";
  }
  return {el, draw, keys: [["k", "keep"], ["d", "drop"], ["← →", "another page"], ["Enter", "reveal"]], key(e) {
    if (e.key === "k") ctx.click("keep");
    else if (e.key === "d") ctx.click("drop");
    else if (e.target === body && !/^Arrow(Left|Right)$/.test(e.key)) return false; // the page scrolls
    else if (e.key === "Enter") ctx.click("reveal");
    else { const to = step(e, ctx.get("page"), 1, v.yours.length, 1, 5); if (to === undefined) return false; go(to - 1); }
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
