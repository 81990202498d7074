// Memory as boxes, one a GPU, filled part after part as lines of a text are: {n, free, said, parts: [{name, label, start, end}]}, in boxes.
const INK = {weights: ["var(--m1)", "var(--on-m1)"], master: ["color-mix(in srgb, var(--m1) 26%, var(--paper))", "var(--ink)", "var(--m1)"], gradients: ["var(--m2)"], moments: ["var(--m3)"], activations: ["var(--m4)"], cache: ["var(--m4)"]};
const swatch = name => { const [fill, , edge = fill] = INK[name]; return h("i", {"aria-hidden": "true", style: {display: "inline-block", width: "1em", height: ".75em", "margin-right": ".4em", background: fill, border: `1.5px solid ${edge}`}}); };

function boxes(b, {width, height, S, title}) {
  // as many to a line as makes them large; none much higher than its label
  const gap = (b.n > 40 ? 2 : 5) * S, em = 13.5 * S, fit = c => { const r = Math.ceil(b.n / c), w = (width - gap * (c - 1)) / c, t = Math.min(64 * S, (height - gap * (r - 1)) / r); return {c, r, w, t, size: Math.min(w / 1.6, t)}; };
  let at = fit(1);
  for (let c = 2; c <= b.n; c++) { const other = fit(c); if (other.size > at.size + .5) at = other; }
  const {c, r, w, t} = at, x = i => (i % c) * (w + gap), y = i => Math.floor(i / c) * (t + gap), fits = string => .62 * em * string.length + em, tall = t > 1.3 * em;
  const rest = b.n - Math.max(...b.parts.map(p => p.end)), parts = [];
  for (const {name, label, start, end} of b.parts) {
    const [fill, ink = "#000", edge] = INK[name], e = edge ? 1.5 * S : 0, pieces = [];
    for (let i = Math.floor(start); i < end; i++) { const from = Math.max(start - i, 0), to = Math.min(end - i, 1); pieces.push([x(i) + from * w, y(i), (to - from) * w]); }
    parts.push(s("path", {d: pieces.map(([px, py, pw]) => `M${px + e / 2} ${py + e / 2}h${Math.max(.5, pw - e)}v${t - e}h${-Math.max(.5, pw - e)}z`).join(""), fill, stroke: edge, "stroke-width": e, "data-part": name}));
    const [px, py, pw] = pieces.reduce((most, piece) => piece[2] > most[2] + .5 ? piece : most); // its first large piece bears its name
    if (tall && pw > fits(label)) parts.push(text(px + pw / 2, py + t / 2 + .36 * em, label, {"text-anchor": "middle", class: "bold", style: `fill:${ink}`}));
  }
  if (tall && b.free && rest * w > fits(b.free)) parts.push(text(x(b.n - 1) + w - rest * w / 2, y(b.n - 1) + t / 2 + .36 * em, b.free, {"text-anchor": "middle", class: "s"}));
  parts.push(s("path", {d: Array.from({length: b.n}, (_, i) => `M${x(i)} ${y(i)}h${w}v${t}h${-w}z`).join(""), fill: "none", stroke: "var(--ink)", "stroke-width": (b.n > 40 ? 1 : 1.5) * S, "data-boxes": b.n}));
  return s("svg", {width, height: r * (t + gap) - gap, role: "img", "aria-label": `${title}: ${b.said}${b.free ? `; ${b.free}` : ""}`}, parts);
}
