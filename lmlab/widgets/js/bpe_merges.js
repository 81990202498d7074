// BPEMerges: all merges are here already, so scrubbing asks nobody.
function picture(ctx) {
  const merge = h("div", {class: "bpe-merge", style: {display: "flex", "align-items": "center", gap: "14px", margin: "0 0 24px", "flex-wrap": "wrap", "min-height": "44px", "font-size": "calc(var(--body)*1.4)"}});
  const h1 = h("h4"), chips = h("div", {style: {"line-height": 1, "max-height": "min(420px, 46vh)", overflow: "auto"}}), key = tintKey([[{background: "var(--m1)"}, "newest"]]);
  const race = h("div"), drawn = s("g"), axes = s("g"), curve = s("svg", {role: "img", "aria-label": "bytes per token by vocabulary size"}, axes, drawn), h2 = h("h4"), h3 = h("h4", {style: {"margin-top": "24px"}}, "Compression: bytes per token, by vocabulary size");
  const own = h("div", {style: {display: "flex", gap: "12px 24px", "flex-wrap": "wrap", margin: "20px 0"}}, ctx.input("text").box, ctx.input("vocab_size").box);
  const right = h("div", {style: {flex: "none", "max-width": "100%"}}, h2, race, h3, curve), left = h("div", {style: {flex: 1, "min-width": 0}}, h1, chips, key, own);
  const cols = h("div", {class: "cols"}, left, right), stepper = h("div", {class: "lm-c", style: {"flex-direction": "row", gap: "8px"}}), el = h("div", {}, merge, cols);
  let v = null, log = null, packed = null, playing = 0, kept = new Map(), ruled = "";
  ctx.input("text").box.style.flex = "1 1 240px";

  // the three buttons stand together in front of the slider
  const first = ctx.input("back").box;
  first.before(stepper);
  for (const name of ["back", "forward", "play"]) { const button = ctx.input(name).box.querySelector("button"); button.setAttribute("aria-label", {back: "one merge back", forward: "one merge forward", play: "play"}[name]); stepper.append(button); ctx.input(name).box.remove(); }
  stepper.style.alignSelf = "flex-end";
  const play = stepper.lastChild;

  function unpack(p) {
    const T = p.token_bits === 16 ? Uint16Array : Uint32Array, get = (name, Kind) => { const d = p[name]; return new Kind(d.buffer.slice(d.byteOffset, d.byteOffset + d.byteLength)); };
    const l = {n: Math.min(p.n_steps, v.n_steps), rivals: p.n_runners_up, names: p.names, left: get("left", T), right: get("right", T), count: get("count", Uint32Array),
      tokens: get("corpus_tokens", Uint32Array), rl: get("rival_left", T), rr: get("rival_right", T), rc: get("rival_count", Uint32Array), id: new Map(), size: []};
    const spelled = [];
    for (let i = 0; i < 256 + l.n; i++) { spelled[i] = i < 256 ? String.fromCharCode(i) : spelled[l.left[i - 256]] + spelled[l.right[i - 256]]; l.id.set(spelled[i], i); l.size[i] = spelled[i].length; }
    return l;
  }
  const now = () => Math.max(0, Math.min(log.n, ctx.get("step"))), ratio = k => log.tokens[0] / Math.max(1, log.tokens[k]);

  function cut(k) { // the tokens of the text after k merges
    const data = bytes(v.text), out = []; let word = "";
    for (let i = 0; i < data.length; i++) { word += String.fromCharCode(data[i]); const b = v.boundaries[i]; if (i === data.length - 1 || !(b > 0 && b <= k)) { out.push(word); word = ""; } }
    return out;
  }

  // one chip a token; those that a step leaves alone stay as they are, and the page lays out the others
  function drawText(k) {
    const words = cut(k), next = new Map(), newest = 255 + k, text = bytes(v.text).join();
    let start = 0;
    if (text !== kept.text || kept.names !== log.names) kept = new Map();
    for (const w of words) {
      const id = log.id.get(w), fresh = k > 0 && id === newest, name = `${start} ${w.length}${fresh}`;
      next.set(name, kept.get(name) || h("span", {class: "tok" + (fresh ? " new" : ""), title: `id ${id}, ${w.length} bytes`, style: fresh ? {background: "var(--m1)", color: "var(--on-m1)", "font-weight": 700, outline: "2px solid var(--ink)", "outline-offset": "1px"} : {background: tint(w.length)}}, log.names[id] || w));
      start += w.length;
    }
    for (const [name, chip] of kept) if (!next.has(name)) chip.remove();
    if (!kept.size) chips.replaceChildren();
    let at = chips.firstChild;
    for (const chip of next.values()) if (chip === at) at = at.nextSibling; else chips.insertBefore(chip, at);
    kept = next; kept.text = text; kept.names = log.names;
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
    if (v.hidden) chips.append(h("span", {class: "tok gap"}, `… ${v.hidden.toLocaleString("en-US")} more bytes …`));
    if (!words.length) chips.replaceChildren(h("div", {class: "empty"}, "Type a text in the box below"));
    h1.textContent = `The text so far: ${start.toLocaleString("en-US")} bytes in ${words.length.toLocaleString("en-US")} tokens`;
  }

  function drawMerge(k) {
    const chip = (id, fresh) => h("span", {class: "mono", style: {padding: "8px 10px", "border-radius": "4px", background: fresh ? "var(--m1)" : tint(Math.max(2, log.size[id])), color: fresh ? "var(--on-m1)" : "var(--ink)", "font-weight": fresh ? 700 : 400, outline: fresh ? "2px solid var(--ink)" : "none", "outline-offset": "1px"}}, log.names[id]);
    const small = (t, tone) => h("span", {style: {"font-size": "var(--body)", color: tone || "var(--ink-2)"}}, t);
    merge.replaceChildren(...(k ? [small(`Merge ${k.toLocaleString("en-US")}`), chip(log.left[k - 1]), "+", chip(log.right[k - 1]), "→", chip(255 + k, true), small(`id ${255 + k}, seen ${log.count[k - 1].toLocaleString("en-US")} ${log.count[k - 1] === 1 ? "time" : "times"}`)]
      : [small("256 byte values, no merge yet. Press Play, or drag the slider.")]));
  }

  function drawRace(k, width) {
    const i = Math.max(0, k - 1), pairs = [];
    if (log.n) { pairs.push([log.left[i], log.right[i], log.count[i]]); for (let r = 0; r < Math.min(ctx.present() ? 3 : 5, log.rivals); r++) { const p = i * log.rivals + r; if (log.rc[p]) pairs.push([log.rl[p], log.rr[p], log.rc[p]]); } }
    const P = ctx.present();
    race.replaceChildren(pairs.length ? bars(pairs.map(([a, b, c], n) => ({label: `${log.names[a]} + ${log.names[b]}`, value: c, shown: c.toLocaleString("en-US"), mono: true, strong: !n, fill: n ? "var(--quiet)" : "var(--m1)", tone: n ? "" : "n1"})), {width, left: P ? 330 : 180, right: P ? 110 : 64, step: P ? 58 : 34, label: "pair counts"})
      : h("div", {class: "cap"}, "This text has no pair of tokens to join."));
    h2.textContent = k ? "The race: most frequent pairs before this merge" : "The race: most frequent pairs now";
  }

  function drawCurve(k, W) {
    const P = ctx.present(), S = P ? 2 : 1, H = P ? 184 : 176, l = 34 * S, b = 26 * S, n = Math.max(1, log.n), top = Math.max(2, Math.ceil(ratio(log.n))), x = i => l + (W - l - 14) * i / n, y = q => H - b - (H - b - 14) * (q - 1) / (top - 1);
    const path = to => { const points = [], by = Math.max(1, Math.floor(to / 300)); for (let i = 0; i < to; i += by) points.push(i); points.push(to); return points.map((i, p) => `${p ? "L" : "M"}${x(i).toFixed(1)} ${y(ratio(i)).toFixed(1)}`).join(""); };
    const same = [W, P, log.n, log.tokens[0], ratio(log.n)].join();
    if (same !== ruled) { // what no step changes
      const every = Math.ceil((top - 1) / 4), parts = [], ticks = Math.min(log.n || 1, W < 260 * S ? 2 : 4);
      for (let q = 1; q <= top; q += every) parts.push(line(l, y(q), W - 14, y(q), "var(--line)"), text(l - 10, y(q) + 4.5 * S, q, {"text-anchor": "end", class: "s"}));
      for (let i = 0; i <= ticks; i++) { const t = Math.round(n * i / ticks); parts.push(text(x(t), H - 4, (256 + t).toLocaleString("en-US"), {"text-anchor": t === n ? "end" : "middle", class: "s"})); }
      parts.push(s("path", {d: path(log.n), fill: "none", stroke: "var(--quiet)", "stroke-width": 2.5 * S}));
      axes.replaceChildren(...parts); curve.setAttribute("width", W); curve.setAttribute("height", H); ruled = same;
    }
    const late = k > n * .8, low = y(ratio(k)) + 18 * S > H - b - 4; // the number stands below the line, and above it where the axis is near
    drawn.replaceChildren(s("path", {d: path(k), fill: "none", stroke: "var(--m1)", "stroke-width": 3 * S}),
      line(x(k), y(ratio(k)), x(k), H - b, "var(--m1)", S, {"stroke-dasharray": "3 3"}), s("circle", {cx: x(k), cy: y(ratio(k)), r: 6 * S, fill: "var(--m1)", stroke: "var(--paper)", "stroke-width": 2}),
      text(x(k) + (late ? -12 : low ? -4 : 14) * S, y(ratio(k)) + (low ? -14 : 18) * S, num(ratio(k)), {class: "b n1", "text-anchor": late ? "end" : "start"}));
  }

  function sentence(k) { // the same words as said() in bpe_merges.py
    const list = k ? [["", "Merge "], ["b", k.toLocaleString("en-US")], ["", " joins "], ["mono", log.names[log.left[k - 1]]], ["", " and "], ["mono", log.names[log.right[k - 1]]], ["", ", seen "], ["b", log.count[k - 1].toLocaleString("en-US")], ["", log.count[k - 1] === 1 ? " time. " : " times. "]] : [["", "No merge yet: every byte is a token of its own. "]];
    list.push(["", "The vocabulary is now "], ["b", (256 + k).toLocaleString("en-US")], ["", " and one token carries "], ["b", num(ratio(k)) + " bytes"], ["", k < log.n ? `; after all ${log.n.toLocaleString("en-US")} merge${log.n === 1 ? "" : "s"} it will carry ${num(ratio(log.n))}.` : "."]);
    return list;
  }

  function paint() {
    if (!log) return;
    const k = now(), P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), beside = full >= (P ? 1300 : 670), W = beside ? P ? Math.min(820, full * .46) : Math.min(470, full * .42) : Math.min(full, P ? full : 520);
    drawMerge(k); drawText(k); drawRace(k, W); drawCurve(k, W);
    ctx.labels["step:value"] = `${k.toLocaleString("en-US")} of ${log.n.toLocaleString("en-US")}`; ctx.input("step").show(k);
    ctx.say(sentence(k));
  }
  function draw(view) {
    v = view;
    const p = ctx.get("log");
    if (!p || !p.names) return;
    const P = ctx.present(), full = ctx.root.clientWidth - 96;
    if (P && full < 1300) ctx.after.append(own, right); else { left.append(own); cols.append(right); } // a small projector: the text and the sentence first
    key.hidden = P; ctx.input("vocab_size").box.hidden = !v.trains; chips.style.fontSize = P ? "var(--body)" : "calc(var(--body)*1.2)";
    if (p !== packed) { packed = p; log = unpack(p); const range = ctx.input("step").focus; range.max = ctx.input("step").spec.max = log.n; range.setAttribute("aria-label", "Merge"); }
    paint();
  }
  const go = k => { const to = Math.max(0, Math.min(log.n, k)); if (to !== now()) ctx.set("step", to, true); return to; };
  function stop() { clearInterval(playing); playing = 0; play.textContent = "▶ Play"; play.setAttribute("aria-label", "play"); }
  function toggle() {
    if (playing) return stop();
    if (now() >= log.n) go(0);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return go(now() + 1);
    play.textContent = "❚❚ Pause"; play.setAttribute("aria-label", "pause");
    playing = setInterval(() => { if (!el.isConnected || go(now() + 1) >= log.n) stop(); }, 250); go(now() + 1);
  }
  ctx.model.on("change:step", paint);
  const stage = h("div", {role: "group", "aria-label": "byte-pair training: arrow keys step, Space plays", tabindex: 0, ...KEYS}, el);
  return {el: stage, draw, keys: [["← →", "one merge"], ["Page Up Page Down", "16 merges"], ["Home End", "to the ends"], ["Space", "play or pause"]],
    click(name) {
      if (name === "play") { toggle(); return true; }
      stop();
      if (name === "reset") return false;
      go(now() + (name === "back" ? -1 : 1)); return true;
    },
    key(e) { if (e.key === " ") { toggle(); return true; } const to = step(e, now(), 0, log.n); if (to === undefined) return false; stop(); go(to); return true; }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
