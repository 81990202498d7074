// A guess on an empty scale; after it, you, the model and the truth on one scale in this order.
function picture(ctx) {
  const row = h("div", {class: "lm-controls", style: {margin: 0, "align-items": "center"}}), chart = h("div");
  const out = h("span", {class: "you", "aria-hidden": "true"}), name = "lm" + Math.random().toString(36).slice(2);
  const lock = h("button", {type: "button", class: "main", ...KEYS, onclick: commit}), note = h("span", {class: "cap"}, "or skip; nothing is graded");
  let input, radios, last, chosen = null;

  function choose(value) { // held, not yet locked in
    chosen = value; lock.disabled = value === null;
    if (!input) return radios.forEach(r => { r.checked = r.value === value; });
    const v = ctx.view(), said = value === null ? "no guess yet" : v.unit === "%" ? pct(value) : num(value, Number.isInteger(value) ? 0 : 2) + (v.unit && NARROW + v.unit);
    input.classList.toggle("unset", value === null); input.setAttribute("aria-valuetext", said); out.textContent = value === null ? "?" : said;
  }
  function commit() { if (chosen !== null) ctx.set("guess", chosen); }
  const enter = e => { if (e.key === "Enter") { e.preventDefault(); e.stopPropagation(); commit(); } };

  function build(v) {
    if (v.choices.length) {
      radios = v.choices.map(value => h("input", {type: "radio", name, value, ...KEYS, onchange: () => choose(value), onkeydown: enter}));
      row.append(h("div", {class: "lm-seg lm-guess", role: "radiogroup", "aria-label": "your guess"}, v.choices.map((c, i) => h("label", {}, radios[i], c))));
    } else {
      const hold = () => choose(+input.value); // a guess of the lowest value moves nothing: a click or a key counts too
      input = h("input", {type: "range", class: "lm-guess", min: v.low, max: v.high, step: v.step, value: v.low, "aria-label": "your guess", ...KEYS,
        oninput: hold, onclick: hold, onkeydown: e => { enter(e); if (e.key === "Home" || e.key === "ArrowLeft") hold(); }});
      row.append(h("div", {class: "lm-slide lm-c wide", style: {flex: "1 1 240px", "flex-direction": "row", "max-width": "600px"}}, input, out));
    }
    row.append(lock, note);
  }

  function draw(v) {
    const guess = ctx.get("guess"), locked = v.bars.length > 0, P = ctx.present() ? 2 : 1;
    if (!row.childElementCount) build(v);
    if (guess !== last) { last = guess; if (input) input.value = guess === null ? v.low : guess; choose(guess); }
    lock.textContent = locked ? "Guess again" : "Lock in and reveal"; note.hidden = locked;
    // before the guess the sentence is for a screen reader alone
    ctx.root.querySelector(".lm-read").style.cssText = locked || ctx.model.get("_error") ? "" : "position:absolute;width:1px;height:1px;min-height:0;margin:0;padding:0;border:0;overflow:hidden;clip-path:inset(50%)";
    chart.replaceChildren(...(locked ? [h("h4", {style: {"margin-top": "calc(6*var(--u))"}}, "The answer"), bars(v.bars.map(b => ({label: b.who, value: b.fraction || 0, shown: b.shown, strong: true, you: b.style === "you", outline: b.style === "truth", fill: "var(--m1)", tone: b.style === "m1" ? "n1" : ""})),
      {width: Math.min(860, ctx.root.clientWidth - 50), max: 1, left: 130 * P, right: 110 * P, step: 36 * P, label: v.bars.map(b => `${b.who}: ${b.shown}`).join("; ")})] : []));
  }
  return {el: h("div", {}, row, chart), draw, keys: [["← →", "move the guess"], ["Enter", "lock in and reveal"]]};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
