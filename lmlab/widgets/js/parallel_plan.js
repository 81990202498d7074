// ParallelPlan: predicted lanes over measured ones; the keyboard walks along what each process does.
function picture(ctx) {
  const head = h("h4"), first = h("div"), legend = h("div", {style: {margin: "calc(2*var(--u)) 0 calc(5*var(--u))"}}, laneLegend());
  const below = h("h4", {style: {margin: 0, flex: "1 1 auto"}}), button = ctx.input("start").box, bar = h("div", {style: {display: "flex", "flex-wrap": "wrap", gap: "calc(2*var(--u)) calc(4*var(--u))", "align-items": "center", "justify-content": "space-between", "margin-bottom": "calc(2*var(--u))"}}, below, button), second = h("div");
  const main = h("div", {style: {flex: "none", "max-width": "100%"}}, head, first, legend, bar, second), title = h("h4"), table = h("div"), aside = h("div", {style: {flex: 1, "min-width": 0}}, title, table), el = h("div", {class: "cols"}, main, aside);
  button.querySelector(".cap").remove();
  const press = button.querySelector("button");
  let v = null, rows = [], at = [0, 0];
  const put = (part, home) => { if (part.parentNode !== home) home.append(part); }; // what is in place is not moved: it would lose the focus

  function draw(view) {
    v = view;
    const held = main.contains(document.activeElement) && document.activeElement.getAttribute("role") === "option", P = ctx.present(), S = P ? 28 / 13 : 1;
    const full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), beside = full > (P ? 1400 : 980), W = beside ? Math.round(full - (P ? 660 : 372)) : full, tiny = full < 560 * S;
    const small = P && !beside, shorten = t => tiny ? t.split(" + ")[0] : t, left = Math.ceil(Math.max(...v.lanes.flatMap(l => l.notes.map(t => wordWidth(ctx.root, shorten(t), 13 * S)))) + 34 * S);
    main.style.width = W + "px";
    put(aside, beside ? el : ctx.after); aside.hidden = small; put(button, P && beside ? aside : bar); button.style.marginTop = P && beside ? "32px" : ""; button.style.alignItems = "flex-start";
    head.replaceChildren("Predicted ", h("span", {}, v.lanes[0].about + (tiny ? "" : P ? "; a row a process, with what it holds" : "; a row a process, with its weights and the most activations it keeps")));
    below.hidden = small && !v.lanes[1];
    below.replaceChildren("Measured ", h("span", {}, v.lanes[1] ? v.lanes[1].about + (P || tiny ? "" : ", by each process’s own clock") : "nothing yet"));
    legend.style.margin = P ? "0 0 12px" : "calc(1*var(--u)) 0 calc(3*var(--u))"; bar.style.marginBottom = P ? "6px" : "calc(2*var(--u))";
    ctx.input("network").box.style.maxWidth = P ? "260px" : ""; ctx.input("network").box.hidden = small;
    press.style.height = small ? "44px" : ""; press.className = v.running ? "" : "main"; press.setAttribute("aria-disabled", v.running); press.textContent = v.running ? "at work…" : P ? "▶ Run" : "▶ Run on real processes";
    for (const [name, letter] of [["processes", "p"], ["micro_batches", "m"]]) { // a projector shows no captions
      const slider = ctx.input(name); ctx.labels[name + ":value"] = P && `${letter} = ${ctx.get(name)}`; slider.show(ctx.get(name)); slider.focus.style.width = small ? "64px" : P ? "160px" : "";
    }
    title.replaceChildren("One step of training");
    table.replaceChildren(h("table", {}, h("thead", {}, h("tr", {}, ["", "predicted", "measured"].map(t => h("th", {}, t)))), h("tbody", {}, v.rows.map(r => h("tr", {}, r.map((t, i) => h("td", {"data-cell": `${r[0]}:${i}`, style: {"font-weight": i === 2 ? 700 : 400, ...(P ? {padding: `2px 0 2px ${i ? 16 : 0}px`} : {})}}, t)))))));
    ctx.input("plan").el.querySelectorAll("label").forEach(label => { label.style.padding = small ? "0 10px" : ""; }); ctx.root.querySelector(".lm-controls").style.columnGap = small ? "24px" : "";
    // the rows share what everything else leaves of the screen; what will be measured has its place already
    first.replaceChildren(); second.replaceChildren();
    const n = P ? v.lanes.length : 2, p = v.lanes[0].names.length, axis = P ? 2 : AXIS * S, row = Math.max(P ? 8 : 16, Math.min(P ? 60 : 38, Math.floor((ctx.room(el, 0, 1e4) - main.offsetHeight - n * axis) / n / p)));
    const drawn = v.lanes.map((lane, i) => lanes({lane, label: i ? "measured" : "predicted", W, row, S, left, axis: !P, pick: g => focus(...placeOf(g)), labels: lane.notes.map((t, k) => [[String(k), "bold", 0], [shorten(t), "s", 20 * S]])}));
    first.replaceChildren(drawn[0].el);
    second.replaceChildren(drawn[1] ? drawn[1].el : P ? "" : h("div", {class: "empty", style: {height: row * p + axis + "px", "min-height": 0}}, v.running ? "The processes are at work…" : "Real processes can train this very step"));
    rows = drawn.flatMap(d => d.rows);
    at[0] = Math.min(at[0], rows.length - 1); at[1] = Math.min(at[1], rows[at[0]].length - 1);
    mark();
    if (held) rows[at[0]][at[1]].focus({preventScroll: true});
  }
  const placeOf = g => { for (let i = 0; i < rows.length; i++) { const j = rows[i].indexOf(g); if (j >= 0) return [i, j]; } return at; };
  function mark() { rows.forEach((r, i) => r.forEach((g, j) => { const here = i === at[0] && j === at[1]; if (here || g.tabIndex === 0) { g.setAttribute("tabindex", here ? 0 : -1); g.setAttribute("aria-selected", here); } })); }
  function focus(i, j) { at = [Math.max(0, Math.min(rows.length - 1, i)), 0]; at[1] = Math.max(0, Math.min(rows[at[0]].length - 1, j)); mark(); const g = rows[at[0]][at[1]]; g.focus({preventScroll: true}); say(g.block); }
  function say(b) {
    const what = {forward: "forward", backward: "backward", send: "sends micro-batch", sum: "sums with the others", wait: "waits"}[b.kind];
    const list = [["", b.label === "measured" ? "Measured: process " : "Process "], ["b", String(b.process)], ["", b.kind === "forward" || b.kind === "backward" ? `, micro-batch ${b.micro} ${what}: ` : b.kind === "send" ? ` ${what} ${b.micro}: ` : `${b.kind === "wait" ? " waits" + (b.micro < 0 ? "" : ` for micro-batch ${b.micro}`) : " sums with the others" + (b.micro < 0 ? "" : `, micro-batch ${b.micro}`)}: `],
      ["b", clock(b.end - b.start)], ["", `, from ${clock(b.start, b.top)} to ${clock(b.end, b.top)}`]];
    if (b.computing > 0 && b.computing < .999) list.push(["", "; computing "], ["b", pct(b.computing)], ["", " of it, the rest sums and waits"]);
    ctx.say([...list, ["", "."]]);
  }
  // up and down go to what the other process does at the same moment
  function across(by) {
    const i = Math.max(0, Math.min(rows.length - 1, at[0] + by)), b = rows[at[0]][at[1]].block, share = (b.start + b.end) / 2 / b.top;
    const j = rows[i].findIndex(g => g.block.end / g.block.top >= share); focus(i, j < 0 ? rows[i].length - 1 : j);
  }
  main.addEventListener("focusout", e => { if (v && !main.contains(e.relatedTarget)) ctx.say(v.readout); });
  return {el, draw, keys: [["← →", "along a process"], ["↑ ↓", "another process, at the same moment"], ["Home End", "its first and last"], ["m", "run on real processes"], ["o", "the other order"]],
    click(name) { return name === "start" && v && v.running; },
    key(e) {
      if (e.key === "m" && v && !v.running) { ctx.click("start"); return true; }
      if (e.key === "o") { ctx.set("order", ctx.get("order") === "gpipe" ? "1f1b" : "gpipe"); return true; }
      if (e.target.getAttribute("role") !== "option") return false;
      const to = {ArrowRight: at[1] + 1, ArrowLeft: at[1] - 1, Home: 0, End: 1e9, PageDown: at[1] + 16, PageUp: at[1] - 16}[e.key];
      if (to !== undefined) focus(at[0], to);
      else if (e.key === "ArrowDown" || e.key === "ArrowUp") across(e.key === "ArrowDown" ? 1 : -1);
      else return false;
      return true;
    }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
