// StageComparison: a card for each stage: what it reads, how likely it asks or answers, and what it writes.
function picture(ctx) {
  const el = h("div", {role: "listbox", "aria-label": "stages", "aria-orientation": "horizontal"});
  let at = 0, shown = null, answered = false;
  const items = () => [...el.children];

  function chart(stage, slot, width, S) {
    const rows = [["another question", stage.question, stage.shown[0]], ["an answer", stage.answer, stage.shown[1]]], note = 13 * S;
    const left = wordWidth(ctx.root, rows[0][0], note, false, false) + 10 * S, right = wordWidth(ctx.root, "1 in 50,000", 15 * S, false, true) + 8 * S;
    const w = Math.max(20, width - left - right), high = (S > 1 ? 44 : 36);
    return s("svg", {width, height: rows.length * high, role: "img", "aria-label": rows.map(r => `${r[0]} ${r[2]}`).join(", ")}, rows.flatMap(([label, p, words], i) => {
      const y = i * high, mid = y + high / 2;
      return [text(left - 8 * S, mid + note * .36, label, {"text-anchor": "end", class: "s"}),
        rect(left, y + 5, w * p, high - 10, `var(--m${slot + 1})`, {class: "eased", "data-stage": stage.name, "data-row": label, "data-p": p}),
        text(left + w * p + 6 * S, mid + 15 * S * .36, words, {class: `b n${slot + 1}`})];
    }), line(left, 0, left, rows.length * high, "var(--ink)", 1.25 * S));
  }

  function card(stage, slot, width, S) {
    const box = {"font-family": "var(--mono)", "white-space": "pre-wrap", "overflow-wrap": "anywhere", "overflow-y": "auto"};
    const lines = n => `calc(${n} * 1.4 * var(--body))`, P = S > 1;
    const said = `${stage.name}: another question ${stage.shown[0]}, an answer ${stage.shown[1]}. It writes: ${stage.sample || "nothing"}`;
    return h("div", {role: "option", "aria-label": said, tabindex: slot === at ? 0 : -1, "aria-selected": slot === at, ...KEYS, onclick: () => focus(slot), onfocus: () => detail(slot), onblur: () => ctx.say(ctx.view().readout),
      style: {"min-width": 0, "border-left": `${2 * S}px solid var(--line)`, "padding-left": `${12 * S}px`}},
      h("h4", {class: `n${slot + 1}`}, mark(slot), stage.name, h("span", {}, stage.chat ? "  asked in a chat" : "  asked in plain text")),
      h("div", {class: "cap"}, "it reads"),
      h("div", {class: "reads", style: {...box, height: lines(P ? 2.2 : 3.1), "margin-bottom": "calc(2*var(--u))", "line-height": 1.4}}, spans(stage.reads)),
      h("div", {class: "cap"}, "then comes, percent"), chart(stage, slot, width - 14 * S - 4, S),
      h("div", {class: "cap", style: {"margin-top": "calc(2*var(--u))"}}, "it writes"),
      h("div", {class: "sample", style: {...box, height: lines(P ? 4 : 5.6), "line-height": 1.4, "font-weight": 700}}, stage.sample || "∅"));
  }

  function draw(v) {
    shown = v; at = Math.min(at, v.stages.length - 1);
    const held = el.contains(document.activeElement), P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50));
    const n = v.stages.length, gap = 24 * S, across = full >= (P ? 1500 : 300 * n) ? n : 1, width = (full - gap * (across - 1)) / across;
    el.style.cssText = `display:grid;grid-template-columns:repeat(${across},minmax(0,1fr));gap:${gap}px`;
    el.replaceChildren(...v.stages.map((stage, slot) => card(stage, slot, Math.min(width, 560 * S), S)));
    if (held) { answered = true; focus(at); answered = false; }
  }
  function detail(slot) { if (answered) return; const c = shown.stages[slot];
    ctx.say([[`m${slot + 1}`, c.name], ["", " asks another question with "], ["b", c.shown[0]], ["", " and answers with "], ["b", c.shown[1]], ["", ". It writes: "], ["mono", c.sample || "∅"]]); }
  function focus(slot) { at = Math.max(0, Math.min(shown.stages.length - 1, slot)); items().forEach((c, i) => { c.tabIndex = i === at ? 0 : -1; c.setAttribute("aria-selected", i === at); }); items()[at].focus(); }
  return {el, draw, keys: [["← →", "from stage to stage"], ["Space", "another sample"]], key(e) {
    if (!el.contains(e.target)) return false;
    const to = step(e, at, 0, shown.stages.length - 1);
    if (e.key === " ") ctx.set("seed", (ctx.get("seed") + 1) % 21);
    else if (to !== undefined) { if (to !== at) focus(to); }
    else return false;
    return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
