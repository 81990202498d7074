// A vertical log ruler: {low, high, title, ticks: [[value, label]], marks: [[value, label, kind]], value, shown}.
// kind "known" is a landmark, "target" what one tries to reach (ink); the value itself is drawn in the first model's color.
function ruler(r, {width, height, S = 1, room = 21 * S, label}) {
  const top = 12 * S, bottom = height - 12 * S, gap = (S > 1 ? 30 : 34) * S, span = Math.log10(r.high / r.low);
  const at = z => bottom - (bottom - top) * Math.max(0, Math.min(1, Math.log10(z / r.low) / span));
  const every = Math.ceil(r.ticks.length / ((bottom - top) / (30 * S))), left = (18 + 7.7 * Math.max(...r.ticks.map(([, t], i) => i % every ? 0 : t.length))) * S;
  const parts = r.ticks.flatMap(([z, t], i) => [line(left - 6 * S, at(z), left, at(z), "var(--edge)", 1.25 * S),
    ...(i % every ? [] : [text(left - 12 * S, at(z) + 4.5 * S, t, {"text-anchor": "end", class: "s"})])]);
  parts.push(line(left, top, left, bottom, "var(--edge)", 1.25 * S));
  // labels stand beside their marks; where two would touch, the lower one moves down and a thin line leads to it
  const out = r.value < r.low ? " ↓" : r.value > r.high ? " ↑" : "";
  // where there is no room, a landmark is named without its figure
  const near = r.marks.filter(m => m[2] === "known").sort((a, b) => Math.abs(Math.log(a[0] / r.value)) - Math.abs(Math.log(b[0] / r.value))), far = near.slice(Math.max(1, Math.floor((bottom - top) / room) - 1)); // what stands near the figure is named first
  const all = [...r.marks.filter(m => !far.includes(m)).map(([z, t, kind]) => ({z, t: left + gap + (kind === "known" ? 8 : 9.4) * S * t.length < width ? t : kind === "known" ? t.split(",")[0] : t.replace("the ", ""), kind})), {z: r.value, t: r.shown + out, kind: "own"}].map(m => ({...m, y: at(m.z)})).sort((a, b) => a.y - b.y || (a.kind === "own" ? -1 : 1));
  const own = all.findIndex(m => m.kind === "own");
  all[own].to = all[own].y;
  for (let i = own - 1; i >= 0; i--) all[i].to = Math.min(all[i].y, all[i + 1].to - room);
  for (let i = own + 1; i < all.length; i++) all[i].to = Math.max(all[i].y, all[i - 1].to + room);
  const over = top - 2 * S - all[0].to; // pushed out at the top: all move down together
  if (over > 0) for (let i = 0, to = all[0].to + over; i < all.length; i++, to += room) { all[i].to = Math.max(all[i].to, to); }
  for (const m of [...all.filter(m => m.kind !== "own"), all[own]]) {
    const x = left + gap, mine = m.kind === "own", target = m.kind === "target", color = mine ? "var(--m1)" : target ? "var(--ink)" : "var(--edge)";
    parts.push(line(left, m.y, left + gap * .55, m.y, color, (mine ? 3 : target ? 2.5 : 1.25) * S), line(left + gap * .55, m.y, x - 6 * S, m.to, color, (mine || target ? 1.5 : 1) * S),
      text(x, m.to + 5 * S, m.t, {class: mine ? "b n1" : target ? "b" : "s", "data-mark": m.kind}));
    if (mine) parts.push(shape(0, left, m.y, 8 * S, "var(--m1)"));
  }
  return s("svg", {width, height, role: "img", "aria-label": label}, parts);
}
