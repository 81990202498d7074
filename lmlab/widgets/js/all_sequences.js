// AllSequences: an icicle. Each column is one more word, each height a probability; the last column holds all leaves.
const PLACES = 3;

function picture(ctx) {
  const head = h("h4"), stage = h("div", {role: "group", "aria-roledescription": "icicle", "aria-label": "all sequences: arrow keys walk, Enter enlarges", tabindex: 0, ...KEYS, style: {position: "relative"}}), el = h("div", {}, head, stage);
  let v = null, leaf = null, V = 0, at = [], boxes = [], mark = null, shown = false;

  // the share of a beginning is the sum of its leaves
  const range = path => { let from = 0, n = leaf.length; for (const w of path) { n /= V; from += w * n; } return [from, from + n]; };
  const share = path => { const [a, b] = range(path); let sum = 0; for (let i = a; i < b; i++) sum += leaf[i]; return sum; };
  const words = path => path.map(w => v.vocabulary[w]).join(" ") || v.start;
  const likeliest = path => { let best = 0; for (let w = 1; w < V; w++) if (share([...path, w]) > share([...path, best])) best = w; return [...path, best]; };
  const filled = x => x >= v.threshold;

  function say(path) {
    if (!path.length) return ctx.say(v.readout);
    const steps = path.map((_, i) => share(path.slice(0, i + 1)) / (share(path.slice(0, i)) || 1));
    ctx.say([["mono", words(path)], ["", path.length < PLACES ? ": all sequences that begin so have " : ": "], ["b", pct(share(path))], ["", path.length > 1 ? " = " + steps.map(pct).join(" × ") : ""], ["", path.length < PLACES ? ". Enter enlarges it." : filled(share(path)) ? `, at least ${pct(v.threshold)}.` : `, less than ${pct(v.threshold)}.`]]);
  }
  function point(path, speak = true) {
    at = path; shown = speak;
    const box = boxes.find(b => b.path.join() === path.join());
    mark.style.display = speak && box ? "" : "none";
    if (box) for (const [k, x] of Object.entries({x: box.x - 1.5, y: box.y - 1.5, width: box.w + 3, height: Math.max(box.h, 2) + 3})) mark.setAttribute(k, x);
    if (speak) say(path); else ctx.say(v.readout);
  }

  function draw(view) {
    const held = document.activeElement === stage;
    v = view; V = v.vocabulary.length; leaf = v.leaves && v.leaves.byteLength ? floats(v.leaves) : null; boxes = [];
    if (!leaf) { head.replaceChildren(); return stage.replaceChildren(h("div", {class: "empty"}, "Type a word to begin after")); }
    const P = ctx.present(), S = P ? 2 : 1, W = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), H = !P ? 430 : ctx.root.clientWidth < 1100 ? 400 : 480, top = 26 * S, root = v.path, lone = 74 * S, gap = 2 * S;
    const note = P ? 28 : 13, columns = PLACES - root.length, wide = (W - lone) / columns, color = `var(--m${v.slot + 1})`, all = share(root) || 1, art = [];
    const label = (x, y, h, path, p) => { // what does not fit is not written
      if (h < note * 1.2) return;
      const t = v.vocabulary[path.at(-1)], full = path.length === PLACES && filled(p), fits = Math.floor((wide - gap - 16 * S) / (note * .62)), number = pct(p), ink = full ? `fill:${v.slot ? "#000" : "var(--on-m1)"}` : "", long = t.length + number.length + 2 <= fits;
      art.push(text(x + 8 * S, y + h / 2 + note * .36, t.length <= fits ? t : [...t].slice(0, fits - 1).join("") + "…", {class: "mono", style: ink}));
      if (long) art.push(text(x + wide - gap - 8 * S, y + h / 2 + note * .36, number, {"text-anchor": "end", style: ink || "fill:var(--ink-2)"}));
    };
    const place = (path, y, h) => { // a beginning and all that follows it
      const depth = path.length - root.length, p = share(path), end = path.length === PLACES, x = depth ? lone + (depth - 1) * wide : 0, w = depth ? wide - gap : lone - gap;
      boxes.push({path, x, y, w, h, p});
      const inner = h > 5 ? h - 1 : h;
      art.push(rect(x, y, w, inner, end ? filled(p) ? color : "var(--t2)" : depth ? "var(--t1)" : "var(--ink)", {"data-path": path.join(" "), "data-p": p, ...(end && filled(p) ? {"data-filled": 1} : {})}));
      if (depth) label(x, y, inner, path, p);
      else art.push(s("g", {transform: `translate(${w / 2 + note * .36},${y + h / 2}) rotate(-90)`}, text(0, 0, words(root) + (root.length ? " " + pct(p) : ""), {class: "mono bold", "text-anchor": "middle", style: "fill:var(--paper)"})));
      if (!end && p > 0) { let from = y; for (let k = 0; k < V; k++) { const next = [...path, k], height = h * share(next) / p; if (height > .02) place(next, from, height); from += height; } }
    };
    place(root, top, H);
    const title = ["after", "first word", "second word", "third word"];
    for (let d = 0; d <= columns; d++) art.unshift(text(d ? lone + (d - 1) * wide : 0, 14 * S, title[d ? root.length + d : 0] + (d === columns && W > 700 * S ? `: ${(leaf.length / V ** root.length).toLocaleString("en-US")} leaves` : ""), {class: "s"}));
    mark = rect(0, 0, 0, 0, "none", {stroke: "var(--ink)", "stroke-width": 3, rx: 2, style: "display:none;pointer-events:none", "paint-order": "stroke"});
    stage.replaceChildren(s("svg", {width: W, height: top + H + 2, "aria-hidden": "true"}, art, mark));
    head.replaceChildren("Height is probability", h("span", {}, root.length ? `: only what begins with “${words(root)}”, ${pct(all)} of it all` : ": each column holds 100" + NARROW + "%"));
    if (at.length < root.length || at.slice(0, root.length).join() !== root.join()) at = [...root];
    point(at, held && shown);
  }

  const zoom = path => ctx.set("zoom", path.map(w => v.vocabulary[w]).join(" "));
  const near = e => { const r = stage.getBoundingClientRect(), x = e.clientX - r.left, y = e.clientY - r.top; return boxes.find(b => x >= b.x && x <= b.x + b.w + 2 && y >= b.y && y < b.y + b.h); };
  stage.addEventListener("mousemove", e => { const b = leaf && near(e); if (b) point(b.path); });
  stage.addEventListener("mouseleave", () => { if (leaf && document.activeElement !== stage) point(at, false); });
  stage.addEventListener("click", e => { const b = leaf && near(e); if (b) { stage.focus({preventScroll: true}); point(b.path); } });
  stage.addEventListener("dblclick", enter);
  stage.addEventListener("focus", () => { if (leaf) point(at.length > v.path.length ? at : likeliest(v.path)); });
  stage.addEventListener("blur", () => { if (leaf) point(at, false); });
  function enter() {
    if (at.length === v.path.length) zoom(v.path.slice(0, -1)); // the first column leads back
    else if (at.length < PLACES) zoom(at);
  }
  return {el, draw, click(name) { if (name === "reset") ctx.set("zoom", ""); return false; }, keys: [["↑ ↓", "walk a column"], ["←", "to the word before"], ["→", "to the likeliest word after"], ["Enter", "enlarge; on the first column, back"]], key(e) {
    if (!leaf) return false;
    const column = boxes.filter(b => b.path.length === at.length), i = column.findIndex(b => b.path.join() === at.join()), go = {ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: column.length - 1, PageDown: i + 16, PageUp: i - 16}[e.key];
    if (go !== undefined) point(column[Math.max(0, Math.min(column.length - 1, go))].path);
    else if (e.key === "ArrowRight") { if (at.length < PLACES) point(likeliest(at)); }
    else if (e.key === "ArrowLeft") { if (at.length > v.path.length) point(at.slice(0, -1)); }
    else if (e.key === "Enter" || e.key === " ") enter();
    else return false;
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
