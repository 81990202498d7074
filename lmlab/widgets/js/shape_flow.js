// ShapeFlow: the tensors of one sentence, each behind a guess. Every number can be clicked, or reached by key.
function picture(ctx) {
  const road = h("div", {style: {display: "flex", "flex-wrap": "wrap", gap: "var(--u) calc(2*var(--u))", "align-items": "baseline", "margin-bottom": "calc(5*var(--u))"}}), place = h("div"), el = h("div", {}, road, place);
  const guess = ctx.input("guess").box, button = ctx.input("reveal").box, prompt = h("div", {style: {"font-size": "var(--q)", color: "var(--ink)"}});
  const hidden = h("div", {class: "empty", role: "group", "aria-label": "a shape to guess", tabindex: 0, ...KEYS, style: {"min-height": "calc(42*var(--u))", "flex-direction": "column", gap: "calc(5*var(--u))"}}, prompt, h("div", {style: {display: "flex", gap: "calc(3*var(--u))", "align-items": "flex-end", "flex-wrap": "wrap"}}, guess, button));
  const pen = document.createElement("canvas").getContext("2d");
  let v = null, at = {}, stage = "", sheet = 0;

  const say = list => ctx.say(list), word = i => ["mono", v.vocabulary[i]], block = (title, note, ...kids) => h("div", {style: {"min-width": 0}}, h("h4", {}, title, note ? h("span", {}, " " + note) : ""), kids);
  // a grid whose chosen cell is remembered by name, so that a new sentence leaves it where it was
  function grid(name, values, options, tell) {
    const n = values.length, m = values[0].length, kept = at[name] ? [Math.min(at[name][0], n - 1), Math.min(at[name][1], m - 1)] : null;
    const made = cells({values, label: name, at: kept, ...options, onselect: (i, j) => { at[name] = [i, j]; tell(i, j); }});
    made.el.addEventListener("focusin", e => { const i = made.items.findIndex(line => line.includes(e.target)); if (i >= 0) tell(i, made.items[i].indexOf(e.target)); });
    made.el.addEventListener("focusout", () => say(v.readout));
    return made;
  }
  const whole = x => String(x), room = () => ctx.root.clientWidth - (ctx.present() ? 96 : 50), S = () => ctx.present() ? 2 : 1;
  const scale = (low, high, what) => ctx.present() ? "" : h("div", {style: {"margin-top": "calc(4*var(--u))"}}, scaleBar(180, [num(low), num(high)], what));
  const fit = (columns, label, most = 84) => Math.max(30 * S(), Math.min(most * S(), Math.floor((room() - label * S()) / columns) - 1)); // px of a cell
  const turned = w => w < 84 * S(); // names as wide as "celebrated" stand upright above narrower cells

  const pictures = {
    ids() {
      const dictionary = grid("dictionary", [v.vocabulary.map((_, i) => i)], {tint: false, show: whole, cols: v.vocabulary, w: fit(v.vocabulary.length, 10), turn: turned(fit(v.vocabulary.length, 10))},
        (_, j) => say([word(j), ["", " is number "], ["b", whole(j)], ["", " of the dictionary; the sentence has it "], ["b", ["not at all", "once", "twice"][v.ids.filter(id => id === j).length] || "often"], ["", "."]]));
      const ids = grid("ids", [v.ids], {tint: false, show: whole, cols: v.words, w: fit(v.ids.length, 10, 110)}, (_, t) => { dictionary.mark((i, j) => j === v.ids[t]);
        say([["", "Position "], ["b", whole(t)], ["", " holds "], word(v.ids[t]), ["", ", and so the number "], ["b", whole(v.ids[t])], ["", ": the position counts from 0, and so does the dictionary."]]); });
      return [block("The sentence as ids", "", ids.el), block("The dictionary", "from string to index", dictionary.el)];
    },
    embeddings() {
      const D = v.lookup[0].length, all = [...v.lookup.flat()], low = Math.min(...all), high = Math.max(...all), axis = Array.from({length: D}, (_, d) => whole(d)), w = (ctx.present() ? 60 : 64) * S();
      let hot = null; const hotPlace = h("div");
      const table = grid("table E", v.lookup, {rows: v.vocabulary.map((x, i) => `${x} ${i}`), cols: axis, low, high, w}, (i, d) => say([word(i), ["", `: row ${i}, column ${d} of E holds `], ["b", num(v.lookup[i][d])], ["", "."]]));
      const show = t => { hot = cells({values: [v.vocabulary.map((_, i) => i === v.ids[t] ? 1 : 0)], tint: false, show: whole, label: "one-hot", w: 30 * S()}); hot.mark((i, j) => j === v.ids[t]); hot.items.flat().forEach(it => { it.tabIndex = -1; });
        hotPlace.replaceChildren(h("h4", {style: {"margin-top": "calc(5*var(--u))"}}, "One-hot", h("span", {}, ` ${v.words[t]}, times E gives its row`)), hot.el); };
      const rows = grid("embeddings", v.embeddings, {rows: v.words, cols: axis, low, high, w}, (t, d) => { table.mark(i => i === v.ids[t]); show(t);
        say([["", "Number "], ["b", whole(d)], ["", " of "], word(v.ids[t]), ["", " is "], ["b", num(v.embeddings[t][d])], ["", `: copied from row ${v.ids[t]} of the table, ${v.vocabulary.length - 1} zeros and a one times its column.`]]); });
      const t = at.embeddings ? Math.min(at.embeddings[0], v.ids.length - 1) : 0;
      show(t); table.mark(i => i === v.ids[t]);
      return [h("div", {class: "cols", style: {"flex-wrap": "wrap"}}, block("Embeddings", "one row a word of the sentence", rows.el, hotPlace, scale(low, high, "number in E")), block("The table E", "one row a word of the dictionary", table.el))];
    },
    next() {
      const w = fit(v.vocabulary.length, 10), last = v.words.at(-1), p = v.probabilities[0];
      const tell = j => say([["", "After "], ["mono", last], ["", ", "], word(j), ["", " gets the logit "], ["b", num(v.logits[0][j])], ["", "; e to that, divided by the same for all words, is "], ["b", pct(p[j])], ["", "."]]);
      const below = grid("probabilities", [p], {low: 0, high: 1, show: pct, w}, (_, j) => { above.mark((i, k) => k === j); tell(j); });
      const above = grid("logits", [v.logits[0]], {cols: v.vocabulary, w, turn: turned(w)}, (_, j) => { below.mark((i, k) => k === j); tell(j); });
      return [block("Logits", `after “… ${last}”: any number, higher is likelier`, above.el), block("After the softmax", "they sum to one", below.el)];
    },
    positions() {
      const longest = Math.max(...v.words.map(x => x.length)) * 8.6 + 26, w = fit(v.vocabulary.length, longest), follows = (t, j) => t + 1 < v.ids.length && v.ids[t + 1] === j;
      const all = grid("logits", v.logits, {rows: v.words, cols: v.vocabulary, w, turn: turned(w)}, (t, j) => say([["", "Having read up to "], ["mono", v.words[t]], ["", `, position ${t}, the model gives `], word(j), ["", " the logit "], ["b", num(v.logits[t][j])], ["", ", that is "], ["b", pct(v.probabilities[t][j])], ["", follows(t, j) ? ": the word that does follow." : "."]]));
      all.mark(follows);
      const flat = v.logits.flat();
      return [block("Logits", "row: the last word read; column: a word that could follow", all.el, scale(Math.min(...flat), Math.max(...flat), "logit"))];
    },
    batch() {
      const B = v.batch.length, all = v.batch.flat(2), low = Math.min(...all), high = Math.max(...all), third = Math.floor((room() - 60 - 28 * (B - 1)) / B / v.vocabulary.length) - 1;
      pen.font = `13px ${getComputedStyle(ctx.root).fontFamily}`;
      const side = !ctx.present() && third > pen.measureText(MINUS + "0.0").width + 2, longest = Math.max(...v.sentences.flat().map(x => x.length)) * 8.6 + 26, w = side ? third : fit(v.vocabulary.length, longest);
      const one = b => grid(`sentence ${b}`, v.batch[b], {rows: side ? (b ? undefined : v.sentences[b].map((_, t) => whole(t))) : v.sentences[b], cols: v.vocabulary, low, high, w, turn: turned(w), show: x => num(x, side ? 1 : 2)},
        (t, j) => say([["", `Sentence ${b}, position ${t}, after `], ["mono", v.sentences[b][t]], ["", ": "], word(j), ["", " gets the logit "], ["b", num(v.batch[b][t][j])], ["", "."]])).el;
      if (side) return [h("div", {style: {display: "flex", gap: "28px", "align-items": "flex-end"}}, v.sentences.map((words, b) => block(`b = ${b}`, words.join(" "), one(b)))), scale(low, high, "logit")];
      sheet = Math.min(sheet, B - 1); // too narrow for all: one sheet lies on top
      const tabs = v.sentences.map((words, b) => h("button", {type: "button", class: b === sheet && "main", "aria-pressed": b === sheet, ...KEYS, style: {height: "auto", "min-height": "36px", "white-space": "normal", "text-align": "left"}, onclick: () => { sheet = b; draw(v); place.querySelectorAll("button")[b].focus(); }}, `b = ${b}: ${ctx.root.clientWidth < 700 || ctx.present() ? words[0] + " …" : words.join(" ")}`));
      return [h("div", {style: {display: "flex", gap: "calc(2*var(--u))", "flex-wrap": "wrap"}}, tabs), one(sheet), scale(low, high, "logit")];
    },
  };

  function draw(view) {
    const held = place.contains(document.activeElement) && document.activeElement.closest("[role=grid]");
    v = view; const now = v.stage; // not the control’s, which may be ahead of the answer
    if (now !== stage) { stage = now; at = {}; }
    place.style.setProperty("--ctl", !v.known ? (ctx.present() ? "68px" : "36px") : ctx.present() ? "44px" : "34px"); place.style.minHeight = ctx.present() ? "" : "300px"; hidden.style.minHeight = ctx.present() ? (ctx.root.clientWidth < 1100 ? "230px" : "440px") : "300px";
    road.replaceChildren(h("span", {class: "mono"}, v.words.length > 6 || ctx.present() ? `${v.words.length} words` : v.words.join(" ") || "…"), ...v.steps.flatMap(([key, name, shape]) => { const here = key === now;
      return [h("span", {style: {color: "var(--ink-2)"}}, "→"), h("span", {class: "mono", title: name, style: {padding: "2px 8px", "border-radius": "4px", background: here ? "var(--ink)" : shape === "?" ? "transparent" : "var(--t1)", color: here ? "var(--paper)" : "var(--ink)", border: `1px ${shape === "?" ? "dashed var(--edge)" : "solid transparent"}`}}, shape)]; }));
    for (const box of [guess, button]) box.hidden = !v.words.length;
    prompt.replaceChildren(...(v.words.length ? ["What is the shape of the ", h("b", {}, v.steps.find(x => x[0] === now)[1]), "?"] : ["Type words of the dictionary above"]));
    const parts = v.known ? pictures[now]() : [hidden];
    place.replaceChildren(...parts.filter(part => part !== "").flatMap((part, i) => i ? [h("div", {style: {height: "calc(5*var(--u))"}}), part] : [part]));
    if (held) { const grids = [...place.querySelectorAll("[role=grid]")], to = grids.find(g => g.getAttribute("aria-label") === held.getAttribute("aria-label")) || grids[0]; const cell = to && to.querySelector("[tabindex='0']"); if (cell) cell.focus({preventScroll: true}); }
  }
  const typed = guess.querySelector("textarea"); // a guess that was typed counts, whichever way it is sent
  return {el, draw, click(name) { if (name !== "reveal" || !typed.value.trim()) return false; ctx.set("guess", typed.value); return true; }, keys: [["← → ↑ ↓", "walk the numbers"], ["Home End", "to the ends of a row"], ["Page Up Page Down", "to the ends of a column"]]};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
