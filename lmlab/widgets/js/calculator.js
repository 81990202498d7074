// A calculator: named assumptions to turn, the figures that follow, and one of them on a log ruler.
const grid = {display: "grid", gap: "0 calc(3*var(--u))", "align-items": "center"};

// one assumption: its name, a slider, the exact number to type, its unit
function dial(ctx, name) {
  const input = ctx.input(name), spec = input.spec, bar = input.focus, box = input.box;
  box.querySelector("output").remove();
  Object.assign(bar.style, {width: "100%", minWidth: 0});
  const field = h("input", {type: "number", step: spec.step, "aria-label": `${spec.label}, exactly`, ...KEYS,
    style: {height: "var(--ctl)", width: "100%", border: "1px solid var(--edge)", "border-radius": "6px", background: "var(--paper)", padding: "0 calc(2*var(--u))", "text-align": "right", "font-weight": 700}});
  const show = () => { if (document.activeElement !== field) field.value = +(+ctx.get(name)).toPrecision(7); };
  const commit = () => { const z = parseFloat(field.value), to = Number.isFinite(z) ? Math.max(spec.min, Math.min(spec.max, spec.step >= 1 ? Math.round(z) : z)) : +ctx.get(name);
    field.value = to; ctx.set(name, to); };
  field.addEventListener("change", commit);
  field.addEventListener("keydown", e => { // here and not in the picture: r and p are letters where one types
    if (e.key === "Enter") commit();
    else if (e.key === "Escape") { field.value = ctx.get(name); field.blur(); }
    if (e.key !== "?" && !e.ctrlKey && !e.metaKey) e.stopPropagation(); });
  bar.addEventListener("input", () => { if (document.activeElement !== field) field.value = bar.value; });
  ctx.model.on("change:" + name, show);
  box.querySelector(".cap").remove();
  box.style.display = "contents";
  const slide = box.firstChild;
  slide.style.minWidth = 0;
  const unit = h("span", {style: {color: "var(--ink-2)", "white-space": "nowrap"}});
  box.replaceChildren(h("span", {}, spec.label), slide, field, unit);
  const row = h("div", {style: grid, "data-dial": name}, box);
  return {row, name, show(small) { // a projector has no room for sliders: there, arrow keys turn the number
    const P = ctx.present();
    show(); unit.textContent = ctx.labels[name + ":unit"] || spec.suffix; slide.hidden = P;
    row.style.gridTemplateColumns = small ? "max-content 3.9em max-content" : P ? "1fr 5.6em 4.8em" : "8.2em minmax(60px, 1fr) 5.6em 4.8em";
    row.style.columnGap = small ? "10px" : "calc(3*var(--u))";
  }};
}

function picture(ctx) {
  const names = ctx.view().dials, dials = names.map(name => dial(ctx, name));
  const hint = h("span", {}, "drag, or type the number"), turn = h("div", {style: {display: "grid", gap: "calc(3*var(--u)) 0"}}, dials.map(d => d.row)), left = h("div", {}, h("h4", {}, "Assumptions ", hint), turn);
  const list = h("div", {role: "listbox", "aria-label": "figures", style: {display: "grid", gap: "calc(2*var(--u))"}}), note = h("span", {}, "choose one"), middle = h("div", {}, h("h4", {}, "What follows ", note), list);
  const title = h("h4"), place = h("div"), right = h("div", {}, title, place), el = h("div", {class: "cols"}, left, middle, right);
  let v = null, items = [];
  const choose = (i, focus) => { ctx.set("quantity", v.results[i].name); if (focus) items[i].focus(); };
  const at = () => Math.max(0, v.results.findIndex(r => r.name === v.quantity));

  // three columns; on a narrower page the figures lie in a row below; on a small projector only what counts stays
  function layout() {
    const P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), three = full > (P ? 1500 : 1000), small = P && !three, two = !P && !three && full > 640, gap = P ? 56 : 40;
    if (three) return {P, three, full, gap, turn: Math.round(full * (P ? .37 : .38)), list: Math.round(full * (P ? .22 : .25)), ruler: full * (P ? .41 : .37) - 2 * gap};
    if (two) return {P, two, full, gap: 36, turn: Math.round(full * .55), list: full, ruler: full * .45 - 36};
    if (small) return {P, small, full: full + 24, gap: 30, turn: full + 24, list: Math.min(310, full), ruler: Math.max(240, full - 316)}; // its padding is 6 u, and a u 6 px there
    return {P, full, gap: 24, turn: full, list: full, ruler: full};
  }

  function figure(r, i, L) {
    const chosen = i === at(), value = h("div", {style: {"font-size": "var(--read)", "font-weight": 700, color: chosen ? "var(--m1-text)" : null}, hidden: L.small}, r.shown);
    return h("div", {role: "option", "aria-selected": chosen, "aria-label": `${r.label}: ${r.shown}`, tabindex: chosen ? 0 : -1, "data-result": r.name, ...KEYS, onclick: () => choose(i, true),
      style: {padding: L.small ? "0 14px" : `calc(${L.P ? .8 : 1.5}*var(--u)) calc(3*var(--u))`, "line-height": 1.25, "border-radius": "6px", cursor: "pointer", border: chosen ? "var(--stroke) solid var(--ink)" : "var(--stroke) solid var(--line)"}},
      h("div", {class: "cap"}, r.label), value, L.P ? null : h("div", {class: "cap"}, r.how));
  }

  function draw(view) {
    v = view;
    const L = layout(), {P, small, three, two} = L, focused = items.indexOf(document.activeElement), now = v.results[at()];
    Object.assign(el.style, {flexDirection: three || two || small ? "row" : "column", flexWrap: three ? "nowrap" : "wrap", gap: three ? L.gap + "px" : `${small ? 14 : 24}px ${L.gap}px`});
    left.style.cssText = `flex:none;max-width:100%;width:${L.turn}px` + (small ? ";--ctl:44px" : ""); middle.style.cssText = `flex:none;max-width:100%;width:${L.list}px;order:${two ? 2 : 0}`; right.style.cssText = `flex:1;min-width:0;max-width:100%;order:${two ? 1 : 2}`;
    for (const head of [left.firstChild, middle.firstChild]) head.hidden = !!small;
    note.hidden = hint.hidden = P;
    list.style.gap = small ? "3px" : `calc(${P ? 1 : 2}*var(--u))`; list.style.gridTemplateColumns = two ? `repeat(${v.results.length}, minmax(0, 1fr))` : three || small ? "1fr" : "repeat(auto-fill, minmax(13em, 1fr))";
    turn.style.cssText = small ? "display:grid;grid-template-columns:max-content max-content;justify-content:space-between;gap:6px 18px" : `display:grid;gap:calc(${two ? 2 : 3}*var(--u)) 0`;
    for (const d of dials) { d.show(small); d.row.hidden = small && !now.uses.includes(d.name); }
    for (const name of ctx.get("_controls").map(c => c.name)) if (!names.includes(name)) ctx.input(name).box.hidden = small && ctx.input(name).spec.options.length > 2;
    items = v.results.map((r, i) => figure(r, i, L));
    list.replaceChildren(...items);
    if (focused >= 0) items[at()].focus();
    title.replaceChildren(v.ruler.title + " ", h("span", {}, P ? "" : "log scale")); title.style.marginBottom = small ? "0" : "";
    const S = P ? 2 : 1, height = three ? Math.max(P ? 500 : 380, list.offsetHeight) : two ? Math.max(290, turn.offsetHeight) : small ? 178 : 360 * S;
    place.replaceChildren(ruler(v.ruler, {width: Math.min(L.ruler, 560 * S), height, S, room: small ? 34 : 21 * S, label: `${v.ruler.title}: ${v.ruler.shown}`}));
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
