// GuessingGame: the text so far, a place for the next key, and the bits of all players on one scale.
function picture(ctx) {
  const strip = h("span", {role: "listbox", "aria-label": "characters found, with the guesses that each took", "aria-orientation": "horizontal"});
  const slot = h("span", {role: "textbox", tabindex: 0, "aria-label": "guess the next character", "aria-readonly": "false", class: "you", ...KEYS, style: {display: "inline-block", "min-width": "1.6em", "text-align": "center", padding: "2px 4px", "margin-left": "3px", "line-height": 1.25, cursor: "text"}}, "?");
  const wrong = h("span", {class: "mono", style: {"margin-left": ".6em", color: "var(--ink-2)"}});
  const line_ = h("div", {class: "mono", style: {"font-size": "calc(1.35*var(--body))", "line-height": 2.3, "overflow-wrap": "anywhere"}}, strip, slot, wrong);
  const h1 = h("h4", {}, "The text so far ", h("span", {}, "below each character: the guesses that it took")), h2 = h("h4"), chart = h("div"), h3 = h("h4", {}, "Guesses needed, ", h("span", {}, "number of characters")), rounds = h("div");
  const stage = h("div", {}, h1, line_), right = h("div"), left = h("div", {style: {"min-width": 0}}, h2, chart), cols = h("div", {class: "cols", style: {"margin-top": "calc(4*var(--u))"}}, left), el = h("div", {}, stage, cols);
  right.append(h3, rounds); right.style.flex = "none";
  let at = 0, shown = null, answered = false;

  function press(key) { // the kernel knows the text: here is only what was pressed
    const mine = shown.number + ":", keys = ctx.get("pressed");
    if (!shown.left) return;
    ctx.set("pressed", (keys.startsWith(mine) ? keys : mine) + key);
  }
  slot.addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.isComposing || e.key === "Tab" || e.key === "Shift") return;
    if (e.key === "Escape") slot.blur();
    else if (e.key === "Enter") press("\n");
    else if (e.key === "ArrowLeft" || e.key === "Home") focus(e.key === "Home" ? 0 : shown.found.length);
    else if ([...e.key].length === 1) press(e.key);
    else if (!/^(Arrow|Page|End|Back|Del)/.test(e.key)) return;
    e.preventDefault(); e.stopPropagation();
  });
  el.addEventListener("click", e => { if (stage.contains(e.target) && !strip.contains(e.target)) slot.focus(); });

  const option = (i, said) => ({role: "option", tabindex: i === at ? 0 : -1, "aria-selected": i === at, "aria-label": said, ...KEYS, onclick: () => focus(i), onfocus: () => tell(i), onblur: () => ctx.say(shown.readout)});
  function cell([character, rank], k) {
    return h("span", {...option(k + 1, `${character}: ${rank} ${rank === 1 ? "guess" : "guesses"}`), "data-rank": rank,
      style: {display: "inline-flex", "flex-direction": "column", "align-items": "center", "line-height": 1.25, "vertical-align": "top", "min-width": "1ch", "margin-top": ".5em", padding: "0 1px", background: rank > 1 ? `var(--t${rank > 8 ? 4 : rank > 4 ? 3 : rank > 2 ? 2 : 1})` : "none"}},
      h("span", {}, character === "·" ? "\u00a0" : character), h("span", {style: {"font-size": "var(--note)", color: rank > 8 ? "var(--ink)" : "var(--ink-2)"}}, rank));
  }

  function bits(v, W) { // you as a range between the bounds, each model as a bar from zero
    const P = ctx.present(), S = P ? 2 : 1, note = P ? 28 : 13, l = 110 * S, r = 118 * S, rows = 1 + v.players.length, step_ = (P && rows > 4 ? 27 : 34) * S, top = Math.max(1, v.evenly * 1.04, v.upper || 0, ...v.players.map(p => p.bits || 0));
    const x = b => l + (W - l - r) * b / top, parts = [], H = rows * step_ + 30 * S, short = name => [...name].length > 11 ? [...name].slice(0, 10).join("") + "…" : name;
    for (let t = 0; t <= top; t++) parts.push(line(x(t), 0, x(t), rows * step_, "var(--line)"), text(x(t), rows * step_ + 20 * S, t, {"text-anchor": "middle", class: "s"}));
    parts.push(line(x(v.evenly), 0, x(v.evenly), rows * step_, "var(--quiet)", 2 * S, {"stroke-dasharray": "4 4"}), text(x(v.evenly) + 6 * S, 14 * S, "all alike", {class: "s"}), text(x(v.evenly) + 6 * S, 14 * S + note + 2, num(v.evenly), {class: "s"}));
    const label = (y, said, tone) => text(l - 10 * S, y + step_ * .62, said, {"text-anchor": "end", class: tone});
    parts.push(label(0, "you", "b"));
    if (v.upper !== null) parts.push(rect(x(v.lower), 7 * S, Math.max(3 * S, x(v.upper) - x(v.lower)), step_ - 14 * S, "var(--you)", {stroke: "var(--ink)", "stroke-width": 1.5 * S, "stroke-dasharray": "4 3", "data-lower": v.lower, "data-upper": v.upper}),
      text(x(v.upper) + 8 * S, step_ * .62, `${num(v.lower)} to ${num(v.upper)}`, {class: "b halo"}));
    else parts.push(text(l + 8 * S, step_ * .62, "press a key", {class: "s"}));
    v.players.forEach((p, i) => { const y = (i + 1) * step_;
      const tone = p.truth ? "" : `n${i + 1}`, y_ = y + 8 * S, high = step_ - 16 * S;
      if (p.truth) parts.push(rect(l - 26 * S - wide(short(p.name), S), y + step_ * .5 - 5 * S, 12 * S, 9 * S, "none", {stroke: "var(--ink)", "stroke-width": 1.5 * S})); else parts.push(shape(i, l - 20 * S - wide(short(p.name), S), y + step_ * .5, 5 * S, `var(--m${i + 1})`));
      parts.push(label(y, short(p.name), "bold " + tone)); parts.at(-1).append(s("title", {}, p.name));
      if (p.bits !== null) parts.push(rect(l, y_, x(Math.min(p.bits, top)) - l, high, p.truth ? "none" : `var(--m${i + 1})`, {class: "eased", "data-player": p.name, "data-bits": p.bits, ...(p.truth ? {stroke: "var(--ink)", "stroke-width": 2 * S} : {})}), text(x(Math.min(p.bits, top)) + 8 * S, y + step_ * .62, num(p.bits), {class: "b " + tone})); });
    parts.push(line(l, 0, l, rows * step_, "var(--ink)", 1.25 * S));
    chart.replaceChildren(s("svg", {width: W, height: H, role: "img", "aria-label": "bits a character of all players"}, parts));
  }
  const pen = document.createElement("canvas").getContext("2d");
  const wide = (said, S) => { pen.font = `700 ${13 * S}px ${getComputedStyle(ctx.root).fontFamily}`; return pen.measureText(said).width * (ctx.present() ? 14 / 13 : 1); };

  function draw(v) {
    const inStrip = strip.contains(document.activeElement), P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), narrow = ctx.root.clientWidth < (P ? 1400 : 720), W = narrow ? full : Math.min(P ? 1100 : 760, full * .62);
    if (!shown || shown.found.length !== v.found.length) at = v.found.length;
    shown = v;
    (P && narrow ? ctx.after : cols).append(right); left.style.flex = narrow && !P ? "none" : "1 1 0";
    line_.style.minHeight = narrow && !P ? "7.2em" : "4.9em";
    strip.replaceChildren(h("span", {...option(0, "given: " + v.given), style: {color: "var(--ink-2)"}}, v.given), ...v.found.map(cell));
    slot.hidden = !v.left; wrong.replaceChildren(...(v.tried ? ["not ", h("s", {style: {"letter-spacing": ".3em"}}, v.tried)] : v.left ? [h("span", {class: "cap"}, `${v.left} to go`)] : []));
    h2.replaceChildren("Bits a character ", h("span", {}, v.upper === null ? "less is better" : "on the characters found; yours lies between the bounds")); bits(v, W);
    rounds.replaceChildren(bars(v.rounds.map((n, i) => ({label: i < v.rounds.length - 1 ? `${i + 1}` : `${i + 1} or more`, value: n, shown: n.toLocaleString("en-US"), fill: "var(--quiet)"})), {width: narrow ? full : Math.min(P ? 600 : 380, full * .32), max: Math.max(4, ...v.rounds), left: P ? 190 : 84, right: P ? 70 : 40, step: P ? 46 : 26, label: "characters by the number of guesses"}));
    if (inStrip) { answered = true; focus(at); answered = false; }
  }
  const cells = () => [...strip.children];
  function focus(i) { at = Math.max(0, Math.min(cells().length - 1, i)); cells().forEach((c, k) => { c.tabIndex = k === at ? 0 : -1; c.setAttribute("aria-selected", k === at); }); cells()[at].focus(); }
  function tell(i) { if (answered) return;
    if (!i) return ctx.say([["", "Given: "], ["mono", shown.given]]);
    const [character, rank, tried] = shown.found[i - 1];
    ctx.say([["mono", character], ["", ` took ${rank} ${rank === 1 ? "guess" : "guesses"}`], ["", tried ? `; before it you tried ${[...tried].join(", ")}.` : "."]]); }
  return {el, draw, keys: [["any key at the question mark", "a guess"], ["Enter", "show the character"], ["← →", "walk what was found"]],
    click(name) { if (name === "show") { press("\n"); return true; } if (name !== "reset") return false; ctx.set("pressed", "", true); return false; },
    key(e) {
      if (!strip.contains(e.target)) return false;
      if (e.key === "ArrowRight" && at === shown.found.length && shown.left) { slot.focus(); return true; }
      const to = step(e, at, 0, shown.found.length);
      if (to === undefined) return false;
      focus(to); return true;
    }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
