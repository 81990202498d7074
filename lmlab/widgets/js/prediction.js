// A guess on an empty scale; after it, you, the model and the truth on one scale in this order.
function picture(ctx) {
  const row = h("div", {class: "lm-controls", style: {margin: "4px 0 0", "align-items": "center"}}), chart = h("div", {style: {"margin-top": "calc(6*var(--u))"}});
  const el = h("div", {}, row, chart), out = h("output", {class: "you", "aria-hidden": "true"}), name = "lm" + Math.random().toString(36).slice(2);
  const lock = h("button", {type: "button", class: "main", ...KEYS, onclick: commit}), note = h("span", {class: "cap"}, "or skip; nothing is graded");
  let input, radios, chosen = null;

  const unit = (v, x) => v.unit === "%" ? Math.round(100 * x) + NARROW + "%" : num(x, Number.isInteger(+x) ? 0 : 2) + (v.unit ? NARROW + v.unit : "");
  function choose(value) { // held, not yet locked in
    chosen = value; lock.disabled = value === null;
    if (!input) return;
    input.classList.toggle("empty", value === null); out.textContent = value === null ? "?" : unit(ctx.view(), value);
    input.setAttribute("aria-valuetext", value === null ? "no guess yet" : out.textContent);
  }
  function commit() { if (chosen !== null) ctx.set("guess", chosen); }
  const enter = e => { if (e.key === "Enter") { e.preventDefault(); e.stopPropagation(); commit(); } };

  function build(v) {
    if (v.choices.length) {
      radios = v.choices.map(value => h("input", {type: "radio", name, value, ...KEYS, onchange: () => choose(value), onkeydown: enter}));
      row.append(h("div", {class: "lm-seg lm-guess", role: "radiogroup", "aria-label": v.question}, v.choices.map((c, i) => h("label", {}, radios[i], c))));
    } else {
      input = h("input", {type: "range", class: "lm-guess", min: v.low, max: v.high, step: v.step, value: v.low, "aria-label": "your guess", ...KEYS,
        oninput: () => choose(+input.value), onpointerup: () => choose(+input.value), onkeydown: e => { enter(e); if (e.key === "Home" || e.key === "ArrowLeft") choose(+input.value); }});
      row.append(h("div", {class: "lm-slide wide"}, input, out));
    }
    row.append(lock, note);
  }

  function answer(v) {
    const L = ctx.present() ? 2 : 1, step = 38 * L, left = 130 * L, room = Math.max(120, Math.min(860, ctx.root.clientWidth - 48) - left - 110 * L);
    const label = (b, y) => text(left - 14, y, b.who, {"text-anchor": "end", class: b.style === "m1" ? "big n1" : "big"});
    return s("svg", {width: left + room + 110 * L, height: step * v.bars.length, role: "img", "aria-label": v.bars.map(b => `${b.who}: ${b.shown}`).join("; ")},
      v.bars.map((b, i) => { const y = i * step, w = room * (b.fraction || 0);
        const look = {you: ["var(--you)", {stroke: "#212121", "stroke-width": 1.75, "stroke-dasharray": "4 3"}], m1: ["var(--m1)", {}], truth: ["none", {stroke: "var(--ink)", "stroke-width": 1.75}]}[b.style];
        return s("g", {"data-who": b.who}, label(b, y + 24 * L), b.fraction === null ? "" : rect(left, y + 7 * L, w, 24 * L, look[0], look[1]),
          text(left + w + (b.fraction === null ? 0 : 10), y + 24 * L, b.shown, {class: b.style === "m1" ? "b n1" : "b"})); }),
      line(left, 0, left, step * v.bars.length, "var(--ink)", 1.25));
  }

  function draw(v) {
    if (!row.childElementCount) build(v);
    const guess = ctx.get("guess"), locked = v.bars.length > 0;
    if (input) { input.value = guess === null ? v.low : guess; choose(guess); }
    else { radios.forEach(r => { r.checked = r.value === guess; }); choose(guess); }
    lock.textContent = locked ? "Guess again" : "Lock in and reveal"; note.hidden = locked;
    ctx.root.querySelector(".lm-read").hidden = !locked && !ctx.model.get("_error");
    chart.replaceChildren(...(locked ? [h("h4", {}, "The answer"), answer(v)] : []));
  }
  ctx.repaint(() => row.childElementCount && ctx.view().bars.length && chart.replaceChildren(h("h4", {}, "The answer"), answer(ctx.view())));
  return {el, draw, keys: [["← →", "move the guess"], ["Enter", "lock in and reveal"]]};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
