// Words measured before they are drawn: shared by pictures whose labels are tokens.
const tape = document.createElement("canvas").getContext("2d");
function wordWidth(root, string, px, mono, bold) {
  tape.font = `${bold ? 700 : 400} ${px}px ${mono ? getComputedStyle(root).getPropertyValue("--mono") || "monospace" : getComputedStyle(root).fontFamily}`;
  return tape.measureText(string).width * 1.02;
}
function fitWord(root, string, room, px, mono = true) { // never cut in silence: the ellipsis says so
  if (wordWidth(root, string, px, mono, true) <= room) return string;
  const keep = Math.max(3, Math.floor(room / wordWidth(root, "0", px, mono, true)) - 1), tail = Math.floor(keep / 3), all = [...string];
  return all.slice(0, keep - tail).join("") + "…" + (tail ? all.slice(-tail).join("") : "");
}
// the marks of a percent axis from zero: round steps, no more than there is room for
const percentTicks = (top, room) => { const by = [.01, .02, .05, .1, .2, .25, .5, 1].find(d => top / d <= Math.min(4.2, room)) || 1; return Array.from({length: Math.floor(top / by + 1e-9) + 1}, (_, i) => i * by); };
// paper hatched in a color: what is masked, cut or taken away
function hatch(color, gap = 5) {
  const id = "lm" + Math.random().toString(36).slice(2); // one page holds many widgets, each with a copy of this file
  return {fill: `url(#${id})`, def: s("pattern", {id, width: gap, height: gap, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"}, line(0, 0, 0, gap, color, gap * .5))};
}
