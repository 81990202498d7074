// RefusalMatrix: a row an attack, a column a round of defense; the chosen cell opens its prompts with their answers.
function picture(ctx) {
  const main = h("div", {style: {flex: "none", "max-width": "100%"}}), aside = h("div", {style: {flex: 1, "min-width": 0}}), el = h("div", {class: "cols"}, main, aside);
  const head = h("h4"), place = h("div", {style: {"max-width": "100%", "overflow-x": "auto", padding: "4px"}}), scale = h("div", {style: {margin: "calc(3*var(--u)) 0 0"}}), title = h("h4");
  const list = h("div", {role: "region", tabindex: 0, ...KEYS, style: {"overflow-y": "auto", "overflow-wrap": "anywhere", "padding-right": "8px"}});
  main.append(head, place, scale); aside.append(title, list);
  let v = null, grid = null, shown = "";
  const MARK = {refused: "✕", told: "✓", neither: "–", answered: "✓"};

  // the page chooses at once; the prompts of the cell follow from the kernel
  function choose(row, column) { if (column < v.rounds.length) ctx.set("at", [row, column]); }

  function matrix(P) {
    const narrow = ctx.root.clientWidth < (P ? 1000 : 720), n = v.columns.length, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50));
    const label = P ? 330 : 150, w = Math.max(narrow ? 44 : 56, Math.min(P ? 190 : 104, (Math.min(full, P ? 1150 : 720) - label) / n));
    const values = v.rows.map(r => v.columns.map((_, j) => j < r.shares.length ? r.shares[j] : null));
    const [row, column] = ctx.get("at");
    grid = cells({values, rows: v.rows.map(r => r.name), cols: v.columns.map(c => c.name), corner: "", low: 0, high: 1, label: "share refused, by attack and round",
      show: (x, i, j) => v.rows[i].shown[j], w, at: [Math.min(row, v.rows.length - 1), Math.min(column, v.rounds.length - 1)], onselect: choose, turn: narrow});
    grid.mark((i, j) => v.rows[i].patched >= 0 && j >= v.rows[i].patched && j < v.rounds.length);
    const last = v.rows.length - 1; // a row of its own: here a refusal is a fault
    for (const cell of grid.items[last][0].parentElement.children) cell.style.marginTop = "calc(3*var(--u))";
    grid.items.forEach((line, i) => line.forEach((cell, j) => { if (j < v.rounds.length) { cell.dataset.attack = v.rows[i].name; cell.dataset.round = j; } else cell.setAttribute("aria-label", `${v.rows[i].name}, ${v.columns[j].name}, not measured yet`); }));
    place.replaceChildren(grid.el);
    head.replaceChildren("Share refused ", h("span", {}, P ? "" : `of ${v.n} requests a cell, none of them seen in training`));
    scale.replaceChildren(scaleBar(P ? 320 : 180, ["0", "100" + NARROW + "%"], narrow ? "refused; outlined: patched" : "refused · outlined: this form is among the examples"));
  }

  function exchanges(P) {
    const wide = two(), key = JSON.stringify([v.said.title, v.said.list.length && v.said.list[0]]), top = list.scrollTop;
    title.replaceChildren(...spans(v.said.title));
    list.setAttribute("aria-label", "prompts and answers");
    list.style.maxHeight = wide ? Math.max(260, main.offsetHeight - (P ? 80 : 40)) + "px" : "300px";
    list.replaceChildren(...v.said.list.map(e => h("div", {"data-outcome": e.outcome, style: {"border-top": "1px solid var(--line)", padding: "calc(1.5*var(--u)) 0"}},
      e.of && h("div", {class: "cap"}, e.of), e.prompt && h("div", {class: "mono", style: {"font-size": "var(--note)"}}, e.prompt),
      h("div", {class: "mono", style: {"font-size": "var(--note)", color: "var(--ink-2)"}}, h("b", {style: {color: "var(--ink)"}}, MARK[e.outcome] + " " + e.outcome + "  "), e.answer || "∅"))));
    list.scrollTop = key === shown ? top : 0; shown = key;
  }
  const full = () => Math.max(240, ctx.root.clientWidth - (ctx.present() ? 96 : 50)), two = () => full() > (ctx.present() ? 1400 : 980);

  function draw(view) {
    v = view;
    const held = place.contains(document.activeElement), P = ctx.present();
    (two() ? el : ctx.after).append(aside); aside.hidden = P && !two();
    matrix(P); exchanges(P);
    if (held) { const [i, j] = ctx.get("at"); grid.select(Math.min(i, v.rows.length - 1), Math.min(j, v.rounds.length - 1), true); }
  }
  return {el, draw, keys: [["← → ↑ ↓", "another cell"], ["Home End", "first and last round"], ["b", "patch"]], key(e) {
    if (e.key !== "b") return false;
    ctx.click("repair"); return true;
  }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
