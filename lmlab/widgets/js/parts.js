// The parts that pictures are made of: token strip, bars, matrix, color scale, log.

// Cividis, dark = 0 and bright = 1 in both themes
const CIV = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56]];
const CIVIDIS = Array.from({length: 256}, (_, v) => { const t = v / 255 * 9, i = Math.min(8, Math.floor(t)), f = t - i; return CIV[i].map((a, k) => Math.round(a + (CIV[i + 1][k] - a) * f)); });
const cividis = t => `rgb(${CIVIDIS[Math.round(255 * Math.min(1, Math.max(0, t)))]})`;
const onCividis = t => t >= .47 ? "#000" : "#fff";

// bytes from the kernel; a Float32Array needs its own aligned copy
const bytes = view => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
const floats = view => new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

// a canvas that is sharp at any pixel ratio: paint(c2d, width, height) in CSS pixels
function canvas(width, height, paint, props) {
  const el = h("canvas", {...props, style: {width: width + "px", height: height + "px", display: "block"}}), r = window.devicePixelRatio || 1;
  el.width = Math.round(width * r); el.height = Math.round(height * r);
  const c = el.getContext("2d"); c.scale(r, r); paint(c, width, height);
  return el;
}
const text = (x, y, string, props = {}) => s("text", {x, y, ...props}, string);
const line = (x1, y1, x2, y2, stroke, width = 1, props = {}) => s("line", {x1, y1, x2, y2, stroke, "stroke-width": width, ...props});
const rect = (x, y, width, height, fill, props = {}) => s("rect", {x, y, width: Math.max(0, width), height: Math.max(0, height), fill, ...props});

// the scale bar that stands beside every matrix
function scaleBar(width, labels, caption) {
  const bar = canvas(width, 12, (c, w) => { for (let i = 0; i < w; i++) { c.fillStyle = cividis(i / (w - 1)); c.fillRect(i, 0, 1.5, 12); } }, {"aria-hidden": "true"});
  return h("div", {style: {display: "flex", gap: "16px", "align-items": "flex-start"}},
    h("div", {style: {width: width + "px"}}, bar, h("div", {class: "cap", style: {display: "flex", "justify-content": "space-between"}}, labels.map(t => h("span", {}, t)))),
    h("span", {class: "cap", style: {"margin-top": "-2px"}}, caption));
}

// A row of tokens that a keyboard walks through. tokens: visible strings. Returns {el, items, select(i)}.
// More than `most` are drawn only on request: the gap says how many it hides.
function tokenStrip(tokens, {label, selected = 0, onselect, most = 500, style}) {
  const el = h("div", {role: "listbox", "aria-label": label, "aria-orientation": "horizontal"}), items = [];
  let at = selected;
  const select = (i, focus) => {
    at = Math.max(0, Math.min(tokens.length - 1, i));
    items.forEach((item, k) => { if (item) { item.setAttribute("aria-selected", k === at); item.tabIndex = k === at ? 0 : -1; } });
    if (focus && items[at]) items[at].focus();
  };
  const chip = i => items[i] = h("span", {class: "tok", role: "option", title: `token ${i}`, ...KEYS, style: style && style(i), onclick: () => { select(i, true); if (onselect) onselect(at); }}, tokens[i]);
  const head = tokens.length > most ? Math.ceil(most / 2) : tokens.length, tail = tokens.length > most ? tokens.length - Math.floor(most / 2) : tokens.length;
  for (let i = 0; i < head; i++) el.append(chip(i));
  if (tail > head) {
    const open = () => { const rest = []; for (let i = head; i < tail; i++) rest.push(chip(i)); gap.replaceWith(...rest); select(at, true); };
    const gap = h("button", {type: "button", class: "tok gap", ...KEYS, onclick: open}, `… ${(tail - head).toLocaleString("en-US")} tokens …`);
    el.append(gap);
    for (let i = tail; i < tokens.length; i++) el.append(chip(i));
  }
  el.addEventListener("keydown", e => {
    if (e.target.classList.contains("gap")) return;
    const to = {ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: tokens.length - 1, PageDown: at + 16, PageUp: at - 16}[e.key];
    if (to === undefined || e.ctrlKey || e.metaKey || e.altKey) return;
    let i = Math.max(0, Math.min(tokens.length - 1, to));
    while (!items[i]) i += to > at ? 1 : -1; // over the gap
    e.preventDefault(); e.stopPropagation(); select(i, true); if (onselect) onselect(at);
  });
  if (tokens.length) select(selected);
  return {el, items, select};
}

// Horizontal bars with their values: rows of {label, value, shown, fill, outline, you, mono}. Bars start at zero.
function bars(rows, {width, max, left = 122, right = 52, step = 34, label}) {
  const top = max || Math.max(1e-12, ...rows.map(r => r.value)), scale = (width - left - right) / top;
  return s("svg", {width, height: rows.length * step, role: "img", "aria-label": label}, rows.flatMap((r, i) => {
    const y = i * step, w = Math.max(0, Math.min(r.value, top) * scale), edge = r.you ? {stroke: "var(--ink)", "stroke-width": 1.5, "stroke-dasharray": "4 3"} : r.outline ? {stroke: "var(--ink)", "stroke-width": 1.75} : {};
    return [text(left - 10, y + step * .62, r.label, {"text-anchor": "end", class: (r.mono ? "mono " : "") + (r.strong ? "b" : "big")}),
      rect(left, y + 6, w, step - 12, r.you ? "var(--you)" : r.outline ? "none" : r.fill || "var(--quiet)", edge),
      text(left + w + 8, y + step * .62, r.shown, {class: (r.strong ? "b " : "big ") + (r.tone || "")})];
  }), line(left, 0, left, rows.length * step, "var(--ink)", 1.25));
}

// arrow keys over a grid or a range, as everywhere: Home and End to the ends, Page by 16
function step(event, value, min, max, by = 1, page = 16) {
  const to = {ArrowRight: value + by, ArrowUp: value + by, ArrowLeft: value - by, ArrowDown: value - by, Home: min, End: max, PageUp: value + page, PageDown: value - page}[event.key];
  return to === undefined ? undefined : Math.max(min, Math.min(max, to));
}
