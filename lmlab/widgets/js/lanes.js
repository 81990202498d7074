// Lanes: a row a process, time to the right; what is computed is filled, what is awaited hatched.
const DOES = ["forward", "backward", "send", "sum", "wait"];
const WORK = 6; // numbers of a block: process, kind, micro-batch, start, end, share computing

// a short time, by the same rules as in Python; of a range both ends are told in the unit of the larger
const unitOf = top => top < .9995e-3 ? [1e6, "µs"] : top < .9995 ? [1e3, "ms"] : [1, "s"];
const clock = (t, top = t) => { const [by, unit] = unitOf(top), x = t * by; return num(x, by > 1e5 || x >= 9.95 && by > 1 ? 0 : 1) + NARROW + unit; };
const marks = (top, room) => { const by = 10 ** Math.floor(Math.log10(top / room)), step = [1, 2, 5, 10].map(k => k * by).find(d => top / d <= room) || 10 * by; return Array.from({length: Math.floor(top / step + 1e-9) + 1}, (_, i) => i * step); };

// lanes({lane, label, W, row, S, labels, left, axis, pick}) -> {el, rows}: rows[process] the focusable blocks in their order; the axis takes AXIS * S
const AXIS = 26;
function lanes({lane, label, W, row, S, labels, left, axis, pick}) {
  const data = floats(lane.blocks), n = data.length / WORK, room = W - left - 2, size = 13 * S, gap = Math.min(4 * S, row / 5), top = lane.seconds || 1, x = t => left + room * t / top;
  const H = row * lane.names.length, paper = hatch("var(--quiet)", 6 * S), rows = lane.names.map(() => []), parts = [s("defs", {}, paper.def)], named = Math.ceil(size * 1.1 / row); // of low rows not all are named
  if (axis) for (const t of marks(top, Math.max(2, room / 110 / S))) parts.push(line(x(t), 0, x(t), H + 4 * S, "var(--line)", S), text(x(t), H + 20 * S + (S > 1 ? 6 : 0), t ? clock(t, top) : "0", {"text-anchor": x(t) > W - 30 * S ? "end" : t ? "middle" : "start", class: "s"}));
  lane.names.forEach((name, i) => { const y = i * row + row / 2; parts.push(line(left, (i + 1) * row, W, (i + 1) * row, "var(--line)", S));
    if (i % named === 0) labels[i].forEach(([string, tone, at]) => parts.push(text(at, Math.max(y + size * .36, size * .8), string, {class: tone}))); });
  for (let k = 0; k < n; k++) {
    const [process, kind, micro, start, end, computing] = data.subarray(k * WORK, k * WORK + WORK), y = process * row + gap / 2, w = x(end) - x(start), tall = row - gap, thin = w < 4 * S ? 0 : S, part = tall * computing;
    const said = `${label}, process ${process}: ${DOES[kind]}${micro < 0 ? "" : ` ${micro}`}`;
    const g = s("g", {role: "option", "aria-label": said, "aria-selected": "false", tabindex: -1, ...KEYS, "data-process": process, "data-kind": DOES[kind], "data-micro": micro, "data-start": start, "data-end": end,
      onclick: () => pick(g), style: "cursor:default"});
    g.block = {process, kind: DOES[kind], micro, start, end, computing, top, label};
    const wide = Math.max(.75, w - thin);
    if (kind === 4) g.append(rect(x(start), y, wide, tall, paper.fill));
    else if (kind > 1) g.append(rect(x(start), y, wide, tall, "var(--m3)"));
    else {
      if (computing < .999) g.append(rect(x(start), y, wide, tall, "var(--m3)"));
      const edge = Math.min(1.5 * S, wide / 3);
      g.append(kind ? rect(x(start) + edge / 2, y + edge / 2, wide - edge, part - edge, "color-mix(in srgb, var(--m2) 26%, var(--paper))", {stroke: "var(--m2)", "stroke-width": edge}) : rect(x(start), y, wide, part, "var(--m1)"));
    }
    const number = String(micro);
    if (kind < 2 && w > (number.length * .6 + .5) * size && part > .8 * size) g.append(text((x(start) + x(end) - thin) / 2, y + part / 2 + size * .36, number, {"text-anchor": "middle", "pointer-events": "none", class: "bold", style: kind ? "" : "fill:var(--on-m1)"}));
    rows[process].push(g); parts.push(g);
  }
  parts.push(line(left, 0, left, H, "var(--ink)", 1.25 * S));
  return {el: s("svg", {width: W, height: H + (axis ? AXIS * S : 2), role: "listbox", "aria-label": `${label}: left and right walk along a process, up and down to another`}, parts), rows};
}
const LEGEND = [["forward", "var(--m1)", ""], ["backward", "color-mix(in srgb, var(--m2) 26%, var(--paper))", "var(--m2)"], ["sends, sums", "var(--m3)", ""], ["waits", "", ""]];
function laneLegend() {
  return h("div", {class: "cap", style: {display: "flex", "flex-wrap": "wrap", gap: "calc(1*var(--u)) calc(4*var(--u))"}}, LEGEND.map(([name, fill, edge]) => h("span", {style: {display: "inline-flex", "align-items": "center", gap: "calc(1.5*var(--u))"}},
    h("i", {style: {width: "1em", height: ".85em", background: fill || "repeating-linear-gradient(135deg, var(--quiet) 0 3px, transparent 3px 6px)", border: edge ? `1.5px solid ${edge}` : "0"}}), name)));
}
