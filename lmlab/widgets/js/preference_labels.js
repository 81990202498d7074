// PreferenceLabels: a question, two answers, and three keys. Only the pair on screen can be labeled.
function picture(ctx) {
  const asked = h("div", {style: {"font-size": "calc(1.15*var(--body))", "font-weight": 700, "margin-bottom": "calc(3*var(--u))", "overflow-wrap": "anywhere", "min-height": "1.5em"}});
  const sheet = choice => h("div", {"data-choice": choice, style: {flex: "1 1 0", "min-width": 0, border: "var(--stroke) solid var(--edge)", "border-radius": "8px", padding: "calc(4*var(--u))", cursor: "pointer", display: "flex", "flex-direction": "column"}, onclick: () => pick(choice)});
  const left = sheet("left"), right = sheet("right"), neither = h("div", {"data-choice": "neither", style: {"text-align": "center", cursor: "pointer", color: "var(--ink-2)", "font-size": "var(--note)", padding: "calc(3*var(--u))", "border-radius": "6px"}, onclick: () => pick("neither")}, h("b", {}, "↓"), " neither is better");
  const two = h("div", {style: {display: "flex", gap: "calc(4*var(--u))", "align-items": "stretch"}}, left, right);
  const stage = h("div", {role: "group", tabindex: 0, ...KEYS, style: {"border-radius": "8px", padding: "calc(2*var(--u))", margin: "calc(-2*var(--u)) calc(-2*var(--u)) calc(2*var(--u))"}}, asked, two, neither), done = h("div", {class: "cap", style: {display: "flex", "align-items": "center", gap: "calc(3*var(--u))", "min-height": "calc(1.4*var(--note))"}});
  const h1 = h("h4", {style: {"margin-top": "calc(4*var(--u))"}}), taste = h("div"), aside = h("div", {}, h1, taste), el = h("div", {}, stage, done, aside);
  const undo = ctx.input("undo_last").box.querySelector("button"), compare = ctx.input("compare").box.querySelector("button"), noise = ctx.input("noise").focus;
  let v = null;

  function pick(choice) { // a key that comes before its pair is on screen labels nothing
    const picks = ctx.get("picks");
    if (!v || v.number !== picks.length || picks.length >= 1000) return;
    ctx.set("picks", [...picks, choice]);
  }
  function back() { const picks = ctx.get("picks"); if (v && v.number === picks.length && picks.length) ctx.set("picks", picks.slice(0, -1)); }
  const answer = (arrow, text) => [h("div", {class: "mono", style: {flex: 1, "overflow-wrap": "anywhere", "max-height": "min(300px,34vh)", overflow: "auto", "min-height": "4.4em"}}, text || "∅"), h("div", {class: "cap", style: {"margin-top": "calc(3*var(--u))"}}, h("b", {}, arrow), " this one is better")];

  function draw(view) {
    v = view;
    const P = ctx.present(), W = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50));
    asked.textContent = v.prompt;
    left.replaceChildren(...answer("←", v.left)); right.replaceChildren(...answer("→", v.right));
    stage.setAttribute("aria-label", `${v.prompt} Left: ${v.left} Right: ${v.right} Left or right arrow for the better one, down for neither.`);
    const bar = h("i", {style: {display: "block", height: "100%", width: 100 * Math.min(1, v.number / v.goal) + "%", background: "var(--ink)"}, class: "eased"});
    done.replaceChildren(h("span", {style: {flex: "0 1 240px", height: "8px", background: "var(--t2)", "border-radius": "4px", overflow: "hidden"}, "aria-hidden": "true"}, bar),
      h("span", {}, v.number < v.goal ? `${v.number} of ${v.goal} labels before you can compare` : `${v.number} labels`));
    undo.disabled = !v.number; compare.disabled = v.number < v.goal; noise.disabled = !v.annotator;
    aside.hidden = !v.tastes.length; h1.hidden = P; done.hidden = P && !aside.hidden;
    if (!v.tastes.length) return;
    if (P) return taste.replaceChildren(h("div", {class: "cap"}, "you took the answer that is " + v.tastes.map(t => `${t.quality}: ${t.preferred} of ${t.n}`).join(" · ")));
    h1.replaceChildren("What you prefer ", h("span", {}, P ? "" : "of the pairs that differ in it, how often you took the answer that is …"));
    taste.replaceChildren(bars(v.tastes.map(t => ({label: t.quality, value: t.n ? t.preferred / t.n : 0, shown: t.n ? `${t.preferred} of ${t.n}` : "no such pair", you: true})), {width: Math.min(W, 640), max: 1, left: 70, right: 110, step: 32, label: v.tastes.map(t => `${t.quality}: ${t.preferred} of ${t.n}`).join(", ")}));
  }
  return {el, draw, keys: [["← →", "the better answer"], ["↓ Space", "neither"], ["u", "undo"]], key(e) {
    if (e.target !== stage) return false;
    const to = {ArrowLeft: "left", ArrowRight: "right", ArrowDown: "neither", " ": "neither"}[e.key];
    if (to) { if (!e.repeat) pick(to); }
    else if (e.key === "u" || e.key === "Backspace") back();
    else return ["ArrowUp", "Home", "End", "PageUp", "PageDown"].includes(e.key);
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
