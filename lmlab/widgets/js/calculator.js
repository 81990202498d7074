// A calculator: named assumptions to turn, the figures that follow, and one of them on a log ruler.
const grid = {display: "grid", gap: "0 calc(3*var(--u))", "align-items": "center"};

// one assumption: its name, a slider, the exact number to type, its unit
function dial(ctx, name) {
  const {spec, box} = ctx.input(name), log = spec.max > 1000 * spec.min, place = z => log ? Math.log10(z) : z; // of many decades each gets as much room
  const clean = z => +Math.max(spec.min, Math.min(spec.max, spec.step >= 1 ? Math.round(z) : z)).toPrecision(7), now = () => +ctx.get(name);
  // round numbers, about 1 % apart on a log scale
  const grain = z => { const p = 10 ** Math.floor(Math.log10(z) + 1e-9); return log ? Math.max(spec.step, p / (z < 2 * p ? 100 : z < 5 * p ? 50 : 20)) : spec.step; };
  const next = (z, way, fine) => { const coarse = grain(way > 0 ? z : z * (1 - 1e-6)), g = log && fine ? Math.max(spec.step, coarse / 10) : coarse; return clean(g * (way > 0 ? Math.floor(z / g + 1 + 1e-6) : Math.ceil(z / g - 1 - 1e-6))); };
  const bar = h("input", {type: "range", min: place(spec.min), max: place(spec.max), step: log ? "any" : spec.step, "aria-label": spec.label, ...KEYS, style: {width: "100%", "min-width": 0}});
  const field = h("input", {type: "number", step: "any", "aria-label": `${spec.label}, exactly`, ...KEYS,
    style: {height: "var(--ctl)", width: "100%", border: "1px solid var(--edge)", "border-radius": "6px", background: "var(--paper)", "text-align": "right", "font-weight": 700}});
  const unit = h("span", {style: {color: "var(--ink-2)", "white-space": "nowrap"}}), slide = h("div", {class: "lm-slide", style: {"min-width": 0}}, bar), row = h("div", {style: grid, "data-dial": name}, box);
  const filled = z => { bar.style.setProperty("--fill", 100 * (place(z) - place(spec.min)) / (place(spec.max) - place(spec.min)) + "%"); bar.setAttribute("aria-valuetext", `${+z.toPrecision(7)} ${unit.textContent}`); };
  const show = () => { const z = now(); bar.value = place(z); filled(z); if (document.activeElement !== field) field.value = +z.toPrecision(7); };
  const set = z => { field.value = z; ctx.set(name, z); show(); };
  const commit = () => { const z = parseFloat(field.value); set(Number.isFinite(z) ? clean(z) : now()); };
  const keyed = e => { // arrows and pages turn the number; in the box, where one types, the upright ones alone
    const k = e.ctrlKey || e.metaKey || e.altKey || e.target === field && !/Up|Down/.test(e.key) ? undefined : step(e, 0, -Infinity, Infinity);
    if (k === undefined) return false;
    let z = now();
    if (Number.isFinite(k)) for (let i = 0; i < Math.abs(k); i++) z = next(z, k, e.shiftKey); else z = k < 0 ? spec.min : spec.max;
    set(z); e.preventDefault(); return true; };
  bar.addEventListener("input", () => { const z = log ? clean(grain(10 ** bar.value) * Math.round(10 ** bar.value / grain(10 ** bar.value))) : +bar.value; filled(z); field.value = z; if (ctx.model.get("_live")) ctx.set(name, z); });
  bar.addEventListener("change", () => set(+field.value));
  bar.addEventListener("keydown", e => { if (keyed(e)) e.stopPropagation(); });
  field.addEventListener("change", commit);
  field.addEventListener("keydown", e => { // here and not in the picture: r and p are letters where one types
    if (e.key === "Enter") commit();
    else if (e.key === "Escape") { field.value = now(); field.blur(); }
    else keyed(e);
    if (e.key !== "?" && !e.ctrlKey && !e.metaKey) e.stopPropagation(); });
  ctx.model.on("change:" + name, show);
  box.style.display = "contents";
  box.replaceChildren(h("span", {}, spec.label), slide, field, unit);
  return {row, name, show(small, idle) { // a projector has no room for sliders: there, arrow keys turn the number
    const P = ctx.present();
    unit.textContent = ctx.labels[name + ":unit"] || spec.suffix; show(); slide.hidden = P; bar.disabled = field.disabled = idle; row.style.opacity = idle ? .4 : 1;
    row.style.gridTemplateColumns = small ? `max-content ${Math.max(4.5, .7 * field.value.length + .4)}em max-content` : P ? "1fr 6.2em 4.2em" : "8.2em minmax(60px, 1fr) 6.4em 4.4em";
    row.style.columnGap = small ? "10px" : "calc(3*var(--u))"; field.style.paddingInline = small ? "4px" : "calc(1.25*var(--u))";
  }};
}

function picture(ctx) {
  const names = ctx.view().dials, dials = names.map(name => dial(ctx, name));
  const hint = h("span", {}, "drag, or type the number"), turn = h("div", {style: {display: "grid", gap: "calc(3*var(--u)) 0"}}, dials.map(d => d.row)), left = h("div", {}, h("h4", {}, "Assumptions ", hint), turn, h("style", {}, ".lm ::-webkit-inner-spin-button { appearance: none }")); // which would take the digits' room
  const list = h("div", {role: "listbox", "aria-label": "figures", style: {display: "grid", gap: "calc(2*var(--u))"}}), note = h("span", {}, "choose one"), middle = h("div", {}, h("h4", {}, "What follows ", note), list);
  const title = h("h4"), place = h("div"), right = h("div", {}, title, place), el = h("div", {class: "cols"}, left, middle, right);
  let v = null, items = [], brief = false; // a widget with boxes has many figures, and says them briefly where room is short
  const choose = (i, focus) => { ctx.set("quantity", v.results[i].name); if (focus) items[i].focus(); };
  const at = () => Math.max(0, v.results.findIndex(r => r.name === v.quantity));

  // three columns; on a narrower page the figures lie in a row below; on a small projector only what counts stays
  function layout() {
    const P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), three = full > (P ? 1500 : 1000), small = P && !three, two = !P && !three && full > 640, gap = P ? 56 : 40;
    if (three) return {P, three, full, gap, turn: Math.round(full * (P ? .35 : .38)), list: Math.round(full * .25), ruler: full * (P ? .4 : .37) - 2 * gap};
    if (two) return {P, two, full, gap: 36, turn: Math.round(full * .55), list: full, ruler: full * .45 - 36};
    if (small) return {P, small, full: full + 24, gap: 30, turn: full + 24, list: Math.min(310, full), ruler: Math.max(240, full - 316)}; // its padding is 6 u, and a u 6 px there
    return {P, full, gap: 24, turn: full, list: full, ruler: full};
  }

  // a figure: what it is, its value, from what it follows; where there is little room, on a line or without the last two
  function figure(r, i, L) {
    const chosen = i === at(), flat = brief && !(L.three && !L.P), part = v.boxes && v.boxes.parts.some(p => p.name === r.name);
    const value = h("div", {style: {"font-size": flat ? "var(--body)" : "var(--read)", "font-weight": 700, color: chosen && !v.boxes ? "var(--m1-text)" : null}, hidden: L.small}, r.shown);
    return h("div", {role: "option", "aria-selected": chosen, "aria-label": `${r.label}: ${r.shown}`, tabindex: chosen ? 0 : -1, "data-result": r.name, ...KEYS, onclick: () => choose(i, true),
      style: {display: flat ? "flex" : "block", "flex-wrap": "wrap", "justify-content": "space-between", "align-items": "baseline", "column-gap": ".5em", padding: L.small ? "0 14px" : `calc(${L.P || flat ? .8 : 1.5}*var(--u)) calc(${L.P && flat ? 2 : 3}*var(--u))`, "line-height": 1.25, "border-radius": "6px", cursor: "pointer", border: `${L.small ? "2px" : "var(--stroke)"} solid var(--${chosen ? "ink" : "line"})`}},
      h("div", {class: "cap"}, part ? swatch(r.name) : null, r.label), value, L.P || flat ? null : h("div", {class: "cap"}, r.how));
  }

  function draw(view) {
    v = view; brief = v.boxes !== undefined;
    const L = layout(), {P, small, three, two} = L, focused = items.indexOf(document.activeElement), now = v.results[at()];
    Object.assign(el.style, {flexDirection: three || two || small ? "row" : "column", flexWrap: three ? "nowrap" : "wrap", gap: three ? L.gap + "px" : `${small ? 14 : 24}px ${L.gap}px`});
    left.style.cssText = `flex:none;max-width:100%;width:${L.turn}px` + (small ? ";--ctl:44px" : ""); middle.style.cssText = `flex:none;max-width:100%;width:${two && brief ? L.turn : L.list}px;order:${two && !brief ? 2 : 0}`; right.style.cssText = `flex:1;min-width:0;max-width:100%;order:${two ? 1 : 2}`;
    (two && brief ? left : el).append(middle); el.append(right); middle.style.marginTop = two && brief ? "16px" : "";
    for (const head of [left.firstChild, middle.firstChild]) head.hidden = !!small;
    note.hidden = hint.hidden = P;
    list.style.gap = small ? "3px" : `calc(${P ? 1 : 2}*var(--u))`; list.style.gridTemplateColumns = two && brief ? "1fr 1fr" : two ? `repeat(${v.results.length}, minmax(0, 1fr))` : three || small ? "1fr" : "repeat(auto-fill, minmax(13em, 1fr))";
    turn.style.cssText = small ? "display:grid;grid-template-columns:max-content max-content;justify-content:space-between;gap:6px 18px" : `display:grid;gap:calc(${two ? 2 : 3}*var(--u)) 0`;
    for (const d of dials) { const idle = !v.results.some(r => r.uses.includes(d.name)); d.show(small, idle); d.row.hidden = small && !now.uses.includes(d.name); }
    for (const {name, options} of ctx.get("_controls")) if (!names.includes(name)) { const {box} = ctx.input(name), idle = v.idle.includes(name); box.hidden = small && options.length > 2 || P && idle; box.style.opacity = idle ? .4 : 1; for (const e of box.querySelectorAll("input")) e.disabled = idle; }
    items = v.results.map((r, i) => figure(r, i, L));
    list.replaceChildren(...items);
    if (focused >= 0) items[at()].focus();
    const heading = v.boxes ? v.boxes.title : v.ruler.title;
    title.replaceChildren(heading + " ", h("span", {}, P && !(v.boxes && v.boxes.each > 1) ? "" : v.boxes ? v.boxes.note : "log scale")); title.style.marginBottom = small ? "0" : "";
    const S = P ? 2 : 1, width = Math.min(L.ruler, 560 * S), height = three ? Math.max(P ? 500 : 380, list.offsetHeight) : two ? Math.max(290, left.offsetHeight - 28) : small ? brief ? Math.max(178, list.offsetHeight - 40) : 178 : 360 * S;
    place.replaceChildren(v.boxes ? boxes(v.boxes, {width, height, S, title: v.boxes.title}) : ruler(v.ruler, {width, height, S, room: small ? 34 : 21 * S, label: `${v.ruler.title}: ${v.ruler.shown}`}));
  }
  return {el, draw, keys: [["↑ ↓", "choose a figure"], ["← →", "turn an assumption"], ["Home End", "the first, the last"]], key(e) {
    const i = items.indexOf(e.target);
    if (i < 0) return false;
    const to = step(e, i, 0, items.length - 1);
    if (to === undefined) return false;
    const down = {ArrowUp: -1, ArrowDown: 1}[e.key]; // in a list, down is the next one
    choose(down ? Math.max(0, Math.min(items.length - 1, i + down)) : to, true);
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
