// ToolUse: a transcript, one line a writer; under each token what the model gave it, and beside it how often it is right.
function picture(ctx) {
  const h1 = h("h4"), lines = h("div"), main = h("div", {style: {flex: 1, "min-width": 0}}, h1, lines), h2 = h("h4"), chart = h("div"), aside = h("div", {style: {flex: "none"}}, h2, chart), el = h("div", {class: "cols"}, main, aside);
  const SHORT = {you: "You", model: "Model", host: "Host"};
  const play = ctx.input("play").box.querySelector("button");
  let rows = null, v = null, shown = Infinity, playing = 0, quiet = false;
  const total = () => v.pieces.reduce((n, p) => n + p.tokens.length, 0);

  function under(piece, k, P) {
    const p = piece.given[k], H = P ? 34 : 22;
    if (p === null) return null;
    return h("span", {"data-given": p, "data-by": piece.by, style: {position: "absolute", left: "15%", right: "15%", top: "calc(100% + 5px)", height: H + "px", "border-bottom": "1px solid var(--line)", "pointer-events": "none"}},
      h("i", {style: {display: "block", position: "absolute", left: 0, right: 0, top: 0, height: Math.max(2, H * p) + "px", "box-sizing": "border-box", background: piece.by === "model" ? "var(--m1)" : "none", border: piece.by === "model" ? "0" : "1.5px solid var(--edge)"}}));
  }

  function paint() {
    const P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), beside = full > (P ? 1500 : 980), A = beside ? (P ? 560 : 330) : full, held = lines.contains(document.activeElement), was = rows ? rows.at() : [0, 0];
    let before = 0;
    const parts = v.pieces.map((piece, r) => ({name: piece.name, tokens: piece.tokens.map((t, k) => ({text: t, bytes: 1, start: 99 * r + k, end: 99 * r + k + 1, none: !piece.counts, said: piece.details[k].map(([, words]) => words).join(""), under: under(piece, k, P)}))}));
    rows = tokenRows(parts, {at: was, onfocus: (r, k) => { if (!quiet) ctx.say(v.pieces[r].details[k]); }, onblur: () => ctx.say(ctx.view().readout)});
    lines.replaceChildren(...v.pieces.map((piece, r) => {
      rows.els[r].style.cssText = `display:flex;flex-wrap:wrap;row-gap:${P ? 46 : 32}px;padding:3px 2px ${P ? 46 : 32}px;min-width:0`;
      [...rows.els[r].children].forEach((chip, k) => { chip.style.visibility = before + k < shown ? "" : "hidden"; if (piece.by === "host") chip.style.outline = "2px solid var(--ink)", chip.style.outlineOffset = "-2px"; });
      const dim = before >= shown; before += piece.tokens.length;
      return h("div", {"data-by": piece.by, style: {display: "flex", gap: "16px", "align-items": "baseline", "min-height": P ? "92px" : "58px", visibility: dim ? "hidden" : ""}},
        h("span", {class: piece.by === "model" ? "named n1" : "", style: {flex: "none", width: P ? "110px" : "156px", "font-weight": 700}}, P ? SHORT[piece.by] : piece.name), rows.els[r]);
    }));
    h1.replaceChildren("The transcript ", h("span", {}, P ? "hatched: no target of the loss" : "bars: what the model gave each token; hatched: no target"));
    h2.replaceChildren("Right answers ", h("span", {}, P ? "by digits" : "by digits of the numbers"));
    aside.style.width = A + "px"; aside.hidden = P && !beside;
    chart.replaceChildren(shares(A, P)); (beside ? el : ctx.after).append(aside);
    if (held) { quiet = true; rows.focus(); quiet = false; }
  }

  // two bars a row: with the calculator and without
  function shares(W, P) {
    const S = P ? 2 : 1, list = P ? v.shares.filter(([d]) => d > 2) : v.shares, head = 30 * S, row = (P ? 40 : 42) * S, l = 68 * S, r = 62 * S, scale = (W - l - r), parts = [];
    parts.push(shape(0, l + 6 * S, head / 2, 5 * S, "var(--m1)"), text(l + 16 * S, head / 2 + 5 * S, "with", {class: "n1 bold"}), shape(1, l + 76 * S, head / 2, 5 * S, "var(--m2)"), text(l + 86 * S, head / 2 + 5 * S, "without", {class: "n2 bold"}));
    list.forEach(([digits, a, b], i) => { const y = head + i * row, one = row / 2 - 4 * S;
      parts.push(text(l - 10 * S, y + row / 2 + 3 * S, digits + (P ? "" : digits === "1" ? " digit" : " digits"), {"text-anchor": "end", class: "s"}));
      [[a, "m1", "n1"], [b, "m2", "n2"]].forEach(([x, fill, tone], k) => parts.push(rect(l, y + k * one + 2, Math.max(1, x * scale), one - 2 * S, `var(--${fill})`, {"data-share": x}), text(l + x * scale + 8 * S, y + k * one + one / 2 + 5 * S, pct(x), {class: "s " + tone}))); });
    parts.push(line(l, head, l, head + list.length * row, "var(--ink)", 1.25 * S));
    return s("svg", {width: W, height: head + list.length * row, role: "img", "aria-label": "right answers: " + v.shares.map(([d, a, b]) => `${d} digits: ${pct(a)} with, ${pct(b)} without`).join("; ")}, parts);
  }

  function draw(view) { if (!view.pieces) return; v = view; paint(); }
  function stop() { clearInterval(playing); playing = 0; shown = Infinity; play.textContent = "▶ Token by token"; paint(); }
  function forward() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) { shown = shown < total() ? shown + 1 : v.pieces[0].tokens.length + 1; if (shown >= total()) shown = Infinity; return paint(); }
    if (playing) return stop();
    shown = v.pieces[0].tokens.length; play.textContent = "■ All";
    playing = setInterval(() => { if (!lines.isConnected || ++shown >= total()) stop(); else paint(); }, 180);
    paint();
  }
  function key(e) {
    if (!lines.contains(e.target) || !rows) return false;
    const [r, k] = rows.at(), to = e.key === "ArrowRight" && k === v.pieces[r].tokens.length - 1 ? [r + 1, 0] : e.key === "ArrowLeft" && k === 0 ? [r - 1, -1]  : {ArrowUp: [r - 1, k], ArrowDown: [r + 1, k]}[e.key];
    if (e.key === " ") forward();
    else if (to && v.pieces[to[0]]) { const there = [...rows.els[to[0]].querySelectorAll("[role=option]")]; there.at(Math.min(to[1], there.length - 1)).focus(); } // on into the next line
    else return !!to || rows.key(e);
    return true;
  }
  return {el, draw, key, keys: [["← →", "walk the tokens"], ["↑ ↓", "another writer"], ["Space", "token by token"]], click(name) { if (name !== "play") return false; forward(); return true; }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
