// WeightFile: all tensors as areas, one of them as numbers, a row of it to set to zero.
function picture(ctx) {
  const parts = ctx.get("_parts"), names = parts.map(p => p[0]);
  const hint = h("span", {}, "as much area as numbers, every dot one of them"), map = s("svg", {role: "listbox", "aria-label": "tensors", style: "position:absolute;left:0;top:0"}), ground = h("div"), scale = h("div", {style: {"margin-top": "12px"}}), left = h("div", {style: {flex: "none", "max-width": "100%"}}, h("h4", {}, "The file as areas ", hint), h("div", {style: {position: "relative"}}, ground, map), scale);
  const head = h("h4"), grid = h("div", {style: {position: "relative", flex: "none"}}), side = h("div", {style: {flex: 1, "min-width": 0}}), losses = h("div"), lossHead = h("h4", {style: {"margin-top": "20px"}});
  const right = h("div", {style: {flex: 1, "min-width": 0}}, head, h("div", {style: {display: "flex", gap: "20px", "align-items": "flex-start"}}, grid, side), lossHead, losses), el = h("div", {class: "cols"}, left, right);
  let v = null, items = [], painted = "";

  const pick = (name, focus) => { ctx.set("row", 0, true); ctx.set("tensor", name); if (focus) items[names.indexOf(name)].focus({preventScroll: true}); };
  const short = name => name.replace(/^blocks\./, "").replace(/\.weight$/, "");

  // ---------------------------------------------------------------- the areas
  // their places are in widths of a sheet 1.7 times as wide as high; a projector's is flatter
  const high = W => Math.round(W / (!ctx.present() ? 1.7 : W < 800 ? 2.6 : 1.95)), scaled = ([x, y, w, t], W) => [x * W, y * 1.7 * high(W), w * W, t * 1.7 * high(W)];
  function areas(W) {
    const P = ctx.present(), em = P ? 28 : 13, edited = new Set(v.edited), H = high(W), look = `${W} ${P}`;
    if (painted !== look) { painted = look; ground.replaceChildren(canvas(W, H, c => dots(c, W), {"aria-hidden": "true"})); }
    map.setAttribute("width", W); map.setAttribute("height", H);
    items = parts.map(([name, shape, numel, box]) => {
      const [x, y, w, t] = scaled(box, W), on = name === v.tensor, long = .6 * em * short(name).length + 12, two = t > 3.4 * em && .6 * em * shape.length + 12 < w;
      const label = long + 10 < w && t > 1.9 * em ? [rect(x + 5, y + 5, two ? Math.max(long, .6 * em * shape.length + 12) : long, (two ? 2.7 : 1.4) * em, "var(--paper)", {rx: 3}), text(x + 11, y + 5 + 1.05 * em, short(name), {class: "mono"}), ...(two ? [text(x + 11, y + 5 + 2.3 * em, shape, {class: "s"})] : [])] : [];
      const g = s("g", {role: "option", "aria-selected": on, "aria-label": `${name}, ${shape}, ${numel.toLocaleString("en-US")} numbers`, tabindex: on ? 0 : -1, "data-tensor": name, ...KEYS, style: "cursor:pointer;outline:none", onclick: () => pick(name, true)},
        rect(x, y, w, t, "transparent"), ...label);
    if (edited.has(name)) g.append(s("circle", {cx: x + w - Math.min(12, w / 2), cy: y + Math.min(12, t / 2), r: P ? 12 : 6, fill: "var(--you)", stroke: "#212121", "stroke-width": 1.5, "stroke-dasharray": "3 2"}));
      return g;
    });
    const on = parts[names.indexOf(v.tensor)], [x, y, w, t] = scaled(on[3], W), mark = Math.max(w, t) < 14 ? 5 : 0; // a speck is ringed, or none would find it
    map.replaceChildren(...items, rect(x - mark, y - mark, w + 2 * mark, t + 2 * mark, "none", {stroke: "var(--ink)", "stroke-width": P ? 5 : 3, "pointer-events": "none"}),
      rect(x - mark + 2, y - mark + 2, w + 2 * mark - 4, t + 2 * mark - 4, "none", {stroke: "var(--paper)", "stroke-width": 1.5, "pointer-events": "none"}));
    scale.replaceChildren(scaleBar(P ? 300 : 160, [MINUS + "3", "0", "+3"], "a number, in spreads of its tensor"));
    scale.hidden = hint.hidden = P;
  }

  function dots(c, W) {
    const data = bytes(ctx.model.get("_dots"));
    let at = 0;
    for (const [, , , box, rows, cols] of parts) {
      const [x, y, w, t] = scaled(box, W), dx = (w - 2) / cols, dy = (t - 2) / rows;
      for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) { c.fillStyle = `rgb(${CIVIDIS[data[at++]]})`; c.fillRect(x + 1 + j * dx, y + 1 + i * dy, dx + .4, dy + .4); }
    }
  }

  // ---------------------------------------------------------------- the numbers
  function values(size) {
    const data = bytes(ctx.model.get("_window")), head = new DataView(data.buffer, data.byteOffset, 8), rows = head.getInt32(0, true), cols = head.getInt32(4, true);
    const P = ctx.present(), cell = Math.max(1, size / Math.max(rows, cols, 8)), wide = Math.max(cols * cell, 24), high = rows * cell, at = (v.row - v.first_row) * cell;
    const img = canvas(wide, high, (c) => { for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) { c.fillStyle = `rgb(${CIVIDIS[data[8 + i * cols + j]]})`; c.fillRect(j * wide / cols, i * cell, wide / cols + .5, cell + .5); } }, {"aria-hidden": "true", "data-rows": rows});
    img.style.cursor = "crosshair";
    img.addEventListener("click", e => ctx.set("row", Math.min(v.n_rows - 1, v.first_row + Math.floor((e.clientY - img.getBoundingClientRect().top) / cell))));
    const over = s("svg", {width: wide + 16, height: high, style: "position:absolute;left:0;top:0;pointer-events:none"}, rect(-1, at - 1, wide + 2, cell + 2, "none", {stroke: "var(--ink)", "stroke-width": 1.5}),
      s("path", {d: `M${wide + 4} ${at + cell / 2}l9 -6v12z`, fill: "var(--ink)"}));
    grid.style.width = wide + 16 + "px"; grid.style.height = size + "px";
    grid.replaceChildren(img, over);
    const more = v.n_rows > rows ? `rows ${v.first_row.toLocaleString("en-US")} to ${(v.first_row + rows - 1).toLocaleString("en-US")}` : "";
    head2(more);
    const row = h("div", {class: "mono", style: {"font-size": "var(--note)", "margin-top": "4px", "line-height": 1.55, "white-space": "normal"}, "data-numbers": v.numbers.join(" ")}, v.numbers.slice(0, P ? 4 : 8).map(z => num(z, 3)).join("  ") + (v.numbers.length > (P ? 4 : 8) ? " …" : ""));
    side.replaceChildren(h("table", {}, h("tbody", {}, v.facts.slice(0, P ? 2 : 4).map(([k, t]) => h("tr", {"data-fact": k}, h("td", {style: {padding: "4px 0"}}, k), h("td", {style: {padding: "4px 0 4px 12px"}}, h("b", {}, t)))))),
      h("div", {style: {"margin-top": "12px"}}, `row ${v.row.toLocaleString("en-US")}`, v.row_name ? h("span", {}, " is ", h("span", {class: "mono", style: {"border-bottom": "2px solid var(--edge)"}}, v.row_name)) : null), row);
  }
  const head2 = more => head.replaceChildren(h("span", {class: "mono", style: {color: "var(--ink)", "font-weight": 700}}, v.tensor.replace(/\.weight$/, "")), h("span", {}, `  ${v.shape.map(n => n.toLocaleString("en-US")).join(" × ")}${more ? ", " + more : ""}`));

  function cost(width) {
    lossHead.textContent = v.losses ? "Loss, nats per token" : "";
    if (!v.losses) return losses.replaceChildren();
    const P = ctx.present(), [before, after, floor] = v.losses, rows = [{label: "as loaded", value: before, shown: num(before, 3)}, {label: "as edited", value: after, shown: num(after, 3), fill: "var(--m1)", tone: "n1", strong: true}];
    if (floor !== null) rows.unshift({label: "floor", value: floor, shown: num(floor, 3), outline: true});
    losses.replaceChildren(bars(rows, {width, left: P ? 200 : 90, right: P ? 120 : 60, step: P ? 56 : 32, label: rows.map(r => `${r.label} ${r.shown}`).join(", ")}));
  }

  function draw(view) {
    v = view;
    const P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), aside = full > (P ? 1300 : 1000), W = aside ? Math.round(full * (P ? .55 : .54)) : full, rest = aside ? full - W - (P ? 80 : 40) : full;
    el.style.flexDirection = aside ? "row" : "column"; el.style.gap = aside ? (P ? "80px" : "40px") : "24px";
    left.style.width = W + "px";
    ctx.input("row").box.style.flexBasis = P ? "340px" : "240px"; ctx.input("tensor").el.style.width = P && !aside ? "340px" : "";
    (P && !aside ? ctx.after : el).append(right); // on a small projector the numbers stand below the sentence
    const range = ctx.input("row").focus; range.max = ctx.input("row").spec.max = v.n_rows - 1; ctx.input("row").show(Math.min(ctx.get("row"), v.n_rows - 1)); // not the answer's row: a drag may be past it
    const focused = items.indexOf(document.activeElement);
    areas(W); values(aside ? (P ? 320 : Math.min(232, rest * .44)) : Math.min(232, rest * .45)); cost(Math.min(rest, P ? 700 : 480));
    if (focused >= 0) items[names.indexOf(v.tensor)].focus({preventScroll: true});
    ctx.input("restore").box.querySelector("button").disabled = !v.edited.length;
  }
  return {el, draw, keys: [["← →", "a tensor"], ["↑ ↓", "a row"], ["Home End", "the first, the last tensor"], ["z", "zero the row"]], key(e) {
    const i = items.indexOf(e.target);
    if (i < 0) return false;
    if (e.key === "z") ctx.click("zero_row");
    else if (e.key === "ArrowUp" || e.key === "ArrowDown") ctx.set("row", Math.max(0, Math.min(v.n_rows - 1, Math.min(ctx.get("row"), v.n_rows - 1) + (e.key === "ArrowUp" ? -1 : 1))));
    else { const to = step(e, names.indexOf(ctx.get("tensor")), 0, names.length - 1); if (to === undefined) return false; pick(names[to], true); }
    return true;
  }};
}
const style = ".lm g[role=option]:focus-visible > rect:first-child{stroke:var(--focus);stroke-width:5px}";
export default {render: ({model, el}) => { el.append(h("style", {}, style)); return mount(model, el, {picture}); }};
