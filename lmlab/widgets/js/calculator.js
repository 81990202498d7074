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
  return {row, show() { // a projector has no room for sliders: there, arrow keys turn the number
    const P = ctx.present();
    show(); unit.textContent = ctx.labels[name + ":unit"] || spec.suffix; slide.hidden = P;
    row.style.gridTemplateColumns = P ? "1fr 5.6em 4.8em" : "8.2em minmax(60px, 1fr) 5.6em 4.8em";
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

  function draw(view) {
    v = view;
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), three = full > (P ? 1500 : 1000), two = !three && full > (P ? 1100 : 640), focused = items.indexOf(document.activeElement);
    el.style.flexDirection = three || two ? "row" : "column"; el.style.flexWrap = two ? "wrap" : "nowrap"; el.style.gap = three ? `${P ? 56 : 40}px` : `24px ${P ? 56 : 40}px`;
    left.style.width = three ? Math.round(full * (P ? .37 : .38)) + "px" : "100%"; middle.style.width = three ? Math.round(full * (P ? .22 : .25)) + "px" : two ? Math.round(full * .44) + "px" : "100%";
    left.style.flex = middle.style.flex = "none"; right.style.cssText = "flex:1;min-width:0;max-width:100%";
    note.hidden = hint.hidden = P; list.style.gap = `calc(${P ? 1 : 2}*var(--u))`;
    list.style.gridTemplateColumns = three || two ? "1fr" : "repeat(auto-fill, minmax(13em, 1fr))";
    dials.forEach(d => d.show());
    items = v.results.map((r, i) => h("div", {role: "option", "aria-selected": i === at(), tabindex: i === at() ? 0 : -1, "data-result": r.name, ...KEYS, onclick: () => choose(i, true),
      style: {padding: `calc(${P ? .8 : 1.5}*var(--u)) calc(3*var(--u))`, "line-height": 1.25, "border-radius": "6px", cursor: "pointer", border: i === at() ? "var(--stroke) solid var(--ink)" : "var(--stroke) solid var(--line)"}},
      h("div", {class: "cap"}, r.label), h("div", {style: {"font-size": "var(--read)", "font-weight": 700, color: i === at() ? "var(--m1-text)" : null}}, r.shown), ...(P ? [] : [h("div", {class: "cap"}, r.how)])));
    list.replaceChildren(...items);
    if (focused >= 0) items[at()].focus();
    title.replaceChildren(v.ruler.title + " ", h("span", {}, P ? "" : "log scale"));
    const width = Math.min(three ? full - (P ? .59 : .63) * full - (P ? 112 : 80) : two ? .56 * full - 56 : full, 560 * S);
    place.replaceChildren(ruler(v.ruler, {width, height: three || two ? Math.max(P ? 500 : 380, list.offsetHeight) : 360 * S, S: P ? 2 : 1, label: `${v.ruler.title}: ${v.ruler.shown}`}));
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
