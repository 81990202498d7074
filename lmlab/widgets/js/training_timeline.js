// TrainingTimeline: every snapshot is here already, so scrubbing asks nobody.
function picture(ctx) {
  const h1 = h("h4"), chart = h("div"), h2 = h("h4", {style: {"margin-top": "calc(6*var(--u))"}}), written = h("div", {class: "mono", style: {"min-height": "3em", "overflow-wrap": "anywhere", "border-top": "1px solid var(--line)", "padding-top": "calc(2*var(--u))"}});
  const h3 = h("h4"), map = h("div"), bar = h("div", {style: {"margin-top": "calc(3*var(--u))"}}), left = h("div", {style: {flex: 1, "min-width": 0}}, h1, chart, h2, written), right = h("div", {style: {flex: "none", "max-width": "100%"}}, h3, map, bar);
  const cols = h("div", {class: "cols"}, left, right), stage = h("div", {role: "group", "aria-label": "snapshots of a training: arrow keys step, Space plays", tabindex: 0, ...KEYS}, cols);
  const heads = h("div", {style: {display: "flex", "flex-wrap": "wrap", gap: "0 calc(6*var(--u))", "margin-bottom": "calc(3*var(--u))"}}, ctx.input("layer").box, ctx.input("head").box);
  map.before(heads);
  const play = ctx.input("play").box.querySelector("button");
  let v = null, playing = 0, hideTruth = false;
  const now = () => Math.max(0, Math.min(v.steps.length - 1, ctx.get("at")));

  function drawBars(k, W) {
    const P = ctx.present(), S = P ? 2 : 1, step = P ? W < 900 ? 48 : 56 : 40, label = Math.min(W * .34, 150 * S), truth = v.rows.some(r => r[1] >= 0), one = 66 * S, wide = 106 * S, numbers = wide + (truth ? one : 0), plot = Math.max(60, W - label - numbers - 12 * S);
    const rows = v.rows.slice(0, P ? W < 900 ? 3 : 4 : 6), rest = f => Math.max(0, 1 - rows.reduce((a, r) => a + f(r), 0)); // rows go before type shrinks
    const list = [...rows.map(([word, t, p]) => [word, t, p[k]]), ["all other tokens", truth && rows[0][1] >= 0 ? rest(r => r[1]) : -1, rest(r => r[2][k])]], head = 26 * S, y = i => head + i * step;
    const parts = list.flatMap(([word, t, p], i) => { const mid = y(i) + step / 2, last = i === list.length - 1, wt = Math.max(2, plot * Math.max(0, t));
      return [text(label - 10 * S, mid + 5 * S, word.length > 16 ? word.slice(0, 15) + "…" : word, {"text-anchor": "end", class: last ? "s" : "mono b"}),
        rect(label, mid - 8 * S, plot * Math.min(1, Math.max(0, p)), 16 * S, last ? "var(--quiet)" : "var(--m1)"),
        ...(t > 0 && !hideTruth ? [line(label + wt, mid - 13 * S, label + wt, mid + 13 * S, "var(--paper)", 5 * S), rect(label, mid - 13 * S, wt, 26 * S, "none", {stroke: "var(--ink)", "stroke-width": 2 * S})] : []),
        ...(truth ? [text(label + plot + 12 * S + one, mid + 5 * S, t >= 0 ? pct(t) : "–", {"text-anchor": "end", class: "b"})] : []),
        text(W, mid + 5 * S, pct(Math.max(0, p)), {"text-anchor": "end", class: "big n1", "data-word": word, "data-p": p})]; });
    if (truth) parts.push(text(label + plot + 12 * S + one, 15 * S, "truth", {"text-anchor": "end", class: "bold"}));
    parts.push(text(W, 15 * S, "● model", {"text-anchor": "end", class: "bold n1"}), line(label, head - 2, label, y(list.length), "var(--ink)", 1.25 * S));
    chart.replaceChildren(s("svg", {width: W, height: y(list.length) + 4, role: "img", "aria-label": `next tokens at ${v.steps[k]}`}, parts));
    h1.replaceChildren("What comes next ", h("span", {}, `at ${v.steps[k]}`));
  }

  function drawMap(k, room) {
    const T = v.tokens.length, all = ctx.get("patterns");
    right.hidden = !T || !all.byteLength;
    if (right.hidden) return;
    const P = ctx.present(), S = P ? 2 : 1, l = Math.min(ctx.get("layer"), v.n_layers - 1), hd = Math.min(ctx.get("head"), v.n_heads - 1), size = T * (T + 1) / 2;
    const data = bytes(all).subarray(((k * v.n_layers + l) * v.n_heads + hd) * size), names = 96 * S, W = Math.max(120, Math.min(room - names - 8, P ? 400 : 340)), c = W / T, top = 8, q = T - 1;
    const weight = (i, j) => data[i * (i + 1) / 2 + j] / 255, mark = Math.ceil(13 * S / c);
    const art = canvas(W, W, g => { for (let i = 0; i < T; i++) for (let j = 0; j <= i; j++) { g.fillStyle = cividis(weight(i, j)); g.fillRect(j * c, i * c, c + .5, c + .5); } }, {"aria-hidden": "true"});
    const parts = v.tokens.flatMap((t, i) => i % mark && i !== q || i !== q && q - i < mark ? [] : [text(names - 8, top + i * c + c / 2 + 5 * S, t.length > 10 ? t.slice(0, 9) + "…" : t, {"text-anchor": "end", class: "mono " + (i === q ? "bold" : "s")})]);
    parts.push(rect(names, top, W, W, "none", {stroke: "var(--edge)"}), rect(names - 1, top + q * c, W + 2, c, "none", {stroke: "var(--ink)", "stroke-width": 2.5}));
    if (T > 3) parts.push(text(names + W - 8, top + 20 * S, "the future: masked", {"text-anchor": "end", class: "s", "paint-order": "stroke", stroke: "var(--paper)", "stroke-width": 6}));
    map.replaceChildren(h("div", {role: "img", "aria-label": `attention of layer ${l}, head ${hd} at ${v.steps[k]}`, style: {position: "relative", width: names + W + 4 + "px", height: top + W + 6 + "px"}},
      h("div", {style: {position: "absolute", left: names + "px", top: top + "px", background: "repeating-linear-gradient(45deg, var(--line) 0 1.5px, transparent 1.5px 6px)"}}, art), s("svg", {width: names + W + 4, height: top + W + 6, style: "position:absolute;inset:0"}, parts)));
    let best = 0; for (let j = 1; j <= q; j++) if (weight(q, j) > weight(q, best)) best = j;
    h3.replaceChildren(`Layer ${l}, head ${hd} `, h("span", {}, `the last token looks most at ${v.tokens[best]}, ${pct(weight(q, best))}`));
    if (!bar.firstChild || bar.dataset.present !== String(P)) { bar.dataset.present = P; bar.replaceChildren(scaleBar(P ? 300 : 180, ["0", "100" + NARROW + "%"], v.cropped ? `of a row’s attention; the last ${T} tokens` : "of a row’s attention")); }
  }

  function paint() {
    if (!v) return;
    const k = now(), P = ctx.present(), full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), two = full > (P ? 1200 : 760) && v.tokens.length, side = P ? 660 : 446;
    if (P && !two) ctx.after.append(h2, written, right); else { left.append(h2, written); cols.append(right); } // a small projector: the bars and the sentence first
    right.style.width = two ? side + "px" : "100%";
    drawBars(k, two ? full - side - (P ? 80 : 40) : full); drawMap(k, two ? side : full); bar.hidden = P;
    h2.style.marginTop = P ? "calc(2*var(--u))" : "calc(6*var(--u))"; h2.replaceChildren("What it writes ", h("span", {}, P ? "" : "one draw, the same random numbers at every snapshot"));
    const flat = t => t.replace(/\n/g, " ↵ "), said = flat(v.prompt), first = flat(v.texts[k]), box = ctx.input("prompt").el;
    if (P && document.activeElement !== box) box.style.cssText = ""; // on a projector one line, until it is edited
    written.replaceChildren(h("span", {style: {color: "var(--ink-2)"}}, P && said.length > 40 ? "… " + said.slice(-30) : said), P && first.length > 60 ? first.slice(0, 60) + " …" : first);
    ctx.labels["at:value"] = v.steps[k]; ctx.input("at").show(k); ctx.say(v.said[k]);
  }
  function draw(view) { if (!view.steps) return; v = view; const range = ctx.input("at").focus; range.setAttribute("aria-valuetext", v.steps[now()]); paint(); }
  const go = k => { const to = Math.max(0, Math.min(v.steps.length - 1, k)); if (to !== now()) ctx.set("at", to, true); return to; };
  function stop() { clearInterval(playing); playing = 0; play.textContent = "▶ Play"; }
  function toggle() {
    if (playing) return stop();
    if (now() >= v.steps.length - 1) go(0); else go(now() + 1);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    play.textContent = "❚❚ Pause";
    playing = setInterval(() => { if (!stage.isConnected || go(now() + 1) >= v.steps.length - 1) stop(); }, 500);
  }
  ctx.model.on("change:at", paint);
  return {el: stage, draw, keys: [["← →", "one snapshot"], ["Home End", "to the ends"], ["Space", "play or pause"], ["↑ ↓", "another head"], ["t", "hide or show the truth"]],
    click(name) { if (name === "play") { toggle(); return true; } stop(); return false; },
    key(e) {
      if (e.target !== stage) return false;
      if (e.key === " ") { toggle(); return true; }
      if (e.key === "t") { hideTruth = !hideTruth; paint(); return true; }
      if (e.key === "ArrowUp" || e.key === "ArrowDown") { const n = v.n_layers * v.n_heads, i = (ctx.get("layer") * v.n_heads + ctx.get("head") + (e.key === "ArrowDown" ? 1 : n - 1)) % (n || 1); ctx.set("layer", Math.floor(i / v.n_heads), true); ctx.set("head", i % v.n_heads, true); return true; }
      const to = step(e, now(), 0, v.steps.length - 1, 1, 3);
      if (to === undefined) return false;
      stop(); go(to); return true;
    }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
