// PolicyGradient: the whole ascent is here already, so scrubbing asks nobody; the sentence follows.
function picture(ctx) {
  const h1 = h("h4"), chart = h("div"), legend = h("div", {class: "cap", style: {"margin-top": "calc(2*var(--u))"}}), main = h("div", {style: {flex: "none", "max-width": "100%"}}, h1, chart, legend);
  const h2 = h("h4"), earned = h("div"), h3 = h("h4", {style: {"margin-top": "calc(4*var(--u))"}}), far = h("div"), h5 = h("h4", {style: {"margin-top": "calc(4*var(--u))"}}), spread = h("div");
  const again = h("button", {type: "button", ...KEYS, onclick: () => other()}, "Draw others"), run = h("div", {style: {display: "flex", "flex-wrap": "wrap", gap: "calc(2*var(--u)) calc(5*var(--u))", "align-items": "flex-end", margin: "calc(-3*var(--u)) 0 calc(4*var(--u))"}});
  const aside = h("div", {style: {flex: 1, "min-width": 0}}, h2, earned, h3, far, h5, spread), el = h("div", {class: "cols"}, main, aside), whole = h("div", {}, run, el);
  const LOW = -2, HIGH = 4, play = ctx.input("play").box.querySelector("button");
  run.append(ctx.input("play").box, ctx.input("at").box, h("div", {class: "lm-c secondary"}, again));
  let v = null, path = null, curves = null, at = 0, quiet = false, playing = 0;
  const now = () => Math.max(0, Math.min(v.steps, ctx.get("at"))), policy = i => path[now() * v.words.length + i];

  function pay(i, value) { const rewards = [...ctx.get("rewards")]; rewards[i] = Math.max(LOW, Math.min(HIGH, Math.round(value * 100) / 100)); if (rewards[i] !== ctx.get("rewards")[i]) ctx.set("rewards", rewards); }
  function other() { ctx.set("seed", ctx.get("seed") + 1); }

  // everything that depends on width or projector, decided in one place
  function layout(W) {
    const P = ctx.present(), S = P ? 2 : 1, body = P ? (W < 1000 ? 28 : 30) : 15, small = W < 520 * S, wide = t => wordWidth(ctx.root, t, body, true, true);
    const label = Math.min(W * .3, Math.max(...v.words.map(wide)) + 14 * S), coins = P && W < 1000 ? 0 : (small ? 52 : 96) * S, coin = 48 * S, one = (small && !P ? 70 : 76) * S; // where there is no room to drag, keys do it
    const columns = (P || W < 760 ? [] : [["reference", "s", i => v.reference[i]]]).concat([["● policy", "n1", policy], ["optimum", "b", i => v.optimum[i]]]);
    const x0 = label + coins + coin + 24 * S, numbers = columns.length * one + (small ? 8 : 26) * S;
    return {P, S, W, body, label, coins, coin, one, columns, x0, plot: Math.max(40, W - x0 - numbers), row: P ? 46 : 36, head: P ? 58 : 40};
  }
  const coinAt = (L, r) => L.label + L.coins * (r - LOW) / (HIGH - LOW);

  function header(L, rows) {
    const y = L.head - 14 * L.S, foot = L.head + L.row * rows.length, parts = [text(L.label + L.coins + L.coin, y, "reward", {"text-anchor": "end", class: "bold"}), L.coins ? line(coinAt(L, 0), L.head - 4, coinAt(L, 0), foot, "var(--edge)", L.S) : ""];
    for (const t of percentTicks(v.top, L.plot / 48 / L.S)) { const x = L.x0 + L.plot * t / v.top; parts.push(line(x, L.head - 4, x, foot, "var(--line)"), text(x, y, Math.round(t * 100) + NARROW + "%", {"text-anchor": "middle", class: "s"})); }
    L.columns.forEach(([name, tone], k) => parts.push(text(L.W - (L.columns.length - 1 - k) * L.one, y, name, {"text-anchor": "end", class: "bold " + (tone === "b" ? "" : tone)})));
    return parts;
  }

  function row(L, i, k) {
    const y = L.head + k * L.row, mid = y + L.row / 2, S = L.S, X = p => L.plot * p / v.top, r = v.rewards[i], p = policy(i), best = v.optimum[i], c = coinAt(L, r), z = coinAt(L, 0), tall = L.row - 10 * S, w = X(best);
    const g = s("g", {role: "option", "aria-label": `${v.words[i]}: reward ${num(r)}, reference ${pct(v.reference[i])}, policy ${pct(p)}, optimum ${pct(best)}`, "aria-selected": String(k === at), tabindex: k === at ? 0 : -1, class: "row", ...KEYS, onclick: () => focus(k), onfocus: () => detail(k), onblur: () => ctx.say(v.readout)});
    g.append(rect(0, y + 1, L.W, L.row - 2, "transparent", {rx: 4}), text(L.label - 12 * S, mid + L.body * .34, fitWord(ctx.root, v.words[i], L.label - 12 * S, L.body), {"text-anchor": "end", class: "mono b"}));
    if (L.coins) g.append(line(z, mid, c, mid, "var(--quiet)", 3 * S));
    g.append(text(L.label + L.coins + L.coin, mid + L.body * .34, num(r), {"text-anchor": "end", class: "big"}));
    const grip = s("g", {style: "cursor:ew-resize;touch-action:none"}, rect(L.label, y + 1, L.coins, L.row - 2, "transparent"), s("circle", {cx: c, cy: mid, r: 8 * S, fill: "var(--you)", class: "grip"}), s("circle", {cx: c, cy: mid, r: 6 * S, fill: "none", stroke: "#212121", "stroke-width": 1.5 * S, "stroke-dasharray": "4 3", "pointer-events": "none"}));
    grip.addEventListener("pointerdown", e => { const box = chart.firstChild.getBoundingClientRect(), move = m => pay(i, Math.round(10 * (LOW + (HIGH - LOW) * (m.clientX - box.left - L.label) / L.coins)) / 10);
      const up = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", up); }; addEventListener("pointermove", move); addEventListener("pointerup", up); e.preventDefault(); focus(k); });
    g.append(rect(L.x0, mid - 8 * S, X(p), 16 * S, "var(--m1)", {"data-policy": p}));
    if (w > .5) g.append(...(p > best ? [line(L.x0 + w, mid - tall / 2, L.x0 + w, mid + tall / 2, "var(--paper)", 5 * S)] : []), rect(L.x0, mid - tall / 2, w, tall, "none", {stroke: "var(--ink)", "stroke-width": 2 * S}));
    const ref = L.x0 + X(v.reference[i]); g.append(s("path", {d: `M${ref - 5 * S} ${mid + tall / 2}h${10 * S}l${-5 * S} ${-7 * S}z`, fill: "var(--paper)", stroke: "var(--ink-2)", "stroke-width": 1.5 * S}), L.coins ? grip : "");
    L.columns.forEach(([name, tone, of], n) => g.append(text(L.W - (L.columns.length - 1 - n) * L.one, mid + L.body * .34, pct(of(i)), {"text-anchor": "end", class: tone === "s" ? "s" : tone === "b" ? "b" : "big " + tone, "data-column": name})));
    return g;
  }

  // one quantity along the ascent: this one up to the step on screen, the exact one, and the optimum's
  function along(which, best, W, H) {
    const P = ctx.present(), S = P ? 2 : 1, n = v.steps + 1, mine = curves.subarray(which * n, which * n + n), exact = curves.subarray((2 + which) * n, (2 + which) * n + n), all = [...mine, ...exact, best];
    let lo = Math.min(...all), hi = Math.max(...all); if (hi - lo < .02) { lo -= .01; hi += .01; }
    const r = 118 * S, l = 4, top = 8 * S, b = H - 8 * S, x = k => l + (W - r - l - 8 * S) * k / v.steps, y = q => b - (b - top) * (q - lo) / (hi - lo), d = (a, to) => Array.from(a.subarray(0, to + 1), (q, k) => `${k ? "L" : "M"}${x(k).toFixed(1)} ${y(q).toFixed(1)}`).join("");
    const k = now(), path = (a, to, stroke, width, dash) => s("path", {d: d(a, to), fill: "none", stroke, "stroke-width": width * S, ...(dash ? {"stroke-dasharray": `${5 * S} ${4 * S}`} : {})});
    let yb = y(best), yk = y(mine[k]); const gap = 18 * S, apart = Math.abs(yb - yk) < gap; if (apart) { const up = yb <= yk, m = Math.max(top + gap / 2, Math.min(b - gap / 2, (yb + yk) / 2)); yb = m + (up ? -gap : gap) / 2; yk = m + (up ? gap : -gap) / 2; }
    return s("svg", {width: W, height: H, role: "img", "aria-label": `${which ? "KL" : "expected reward"} at step ${k}: ${num(mine[k])}, optimum ${num(best)}`, "data-now": mine[k], "data-best": best},
      line(l, b + 4 * S, W - r - 8 * S, b + 4 * S, "var(--line)"), line(l, y(best), W - r - 4 * S, y(best), "var(--ink)", 2 * S), v.sampled ? path(exact, v.steps, "var(--quiet)", 1.5, true) : null, path(mine, v.steps, "var(--m1)", 1), path(mine, k, "var(--m1)", 3),
      shape(0, x(k), y(mine[k]), 6 * S, "var(--m1)"), text(W - r, yb + 5 * S, `optimum ${num(best)}`, {class: "bold"}), text(W - r, yk + 5 * S, `step ${k}: ${num(mine[k])}`, {class: "n1 bold"}));
  }

  function variances(W) {
    const S = ctx.present() ? 2 : 1;
    return bars(v.variances.map(([label, value, shown], i) => ({label, value, shown, fill: i === v.chosen && v.sampled ? "var(--m1)" : "var(--quiet)", strong: i === v.chosen && v.sampled, tone: i === v.chosen && v.sampled ? "n1" : ""})), {width: W, left: 128 * S, right: 64 * S, step: S > 1 ? 42 : 27, label: `variance of the estimate from ${v.drawn} tokens: ` + v.variances.map(([l, , t]) => `${l} ${t}`).join(", ")});
  }

  // on a projector the rarest tokens go before type shrinks
  let rows = [];
  function paint() {
    if (!v) return;
    const P = ctx.present(), S = P ? 2 : 1, full = Math.max(240, ctx.root.clientWidth - (P ? 96 : 50)), beside = full > (P ? 1300 : 900), held = chart.contains(document.activeElement), W = beside ? full * (P ? .62 : .64) : full, A = beside ? full - W - (P ? 80 : 40) : full, tiny = P && !beside, all = v.words.map((_, i) => i), often = [...all].sort((a, b) => v.reference[b] - v.reference[a]);
    rows = P ? all.filter(i => often.indexOf(i) < (tiny ? 5 : 7)) : all; at = Math.min(at, rows.length - 1);
    const L = layout(W), left = all.length - rows.length;
    main.style.width = W + "px";
    run.style.marginTop = P ? 0 : "calc(-3*var(--u))";
    h1.replaceChildren(P ? "Reward and probability " : "Reward and probability of each token ", h("span", {}, P ? left ? `the ${left} rarest not shown` : "" : full < 720 ? "" : "drag a yellow handle to pay more or less"));
    chart.replaceChildren(s("svg", {width: W, height: L.head + L.row * rows.length + 4, role: "listbox", "aria-label": "tokens: left and right change the reward"}, header(L, rows), rows.map((i, k) => row(L, i, k)), line(L.x0, L.head - 4, L.x0, L.head + L.row * rows.length, "var(--ink)", 1.25 * S)));
    legend.hidden = P; legend.replaceChildren("△ reference, where training begins · outline: the optimum · yellow: the reward, yours to change");
    (beside ? el : ctx.after).append(aside);
    h2.replaceChildren("Expected reward ", h("span", {}, "by step")); h3.replaceChildren("KL from the reference", h("span", {}, ", nats")); h5.replaceChildren(P ? "Variance" : "Variance of the estimate", h("span", {}, `, ${v.sampled ? "" : "if "}${v.drawn} samples`));
    earned.replaceChildren(along(0, v.best[0], A, P ? 110 : 84)); far.replaceChildren(along(1, v.best[1], A, P ? 110 : 66)); spread.replaceChildren(variances(A));
    far.hidden = h3.hidden = P && v.sampled; spread.hidden = h5.hidden = P && !v.sampled; // a projector has room for two
    again.disabled = !v.sampled;
    if (held) { quiet = true; focus(at); quiet = false; } // the sentence is read first, the row when the keys move again
  }
  function draw(view) { if (!view.words) return; v = view; path = floats(view.path); curves = floats(view.curves); paint(); }

  const items = () => [...chart.querySelectorAll("[role=option]")];
  function focus(k) { at = Math.max(0, Math.min(rows.length - 1, k)); items().forEach((g, j) => { g.setAttribute("tabindex", j === at ? 0 : -1); g.setAttribute("aria-selected", j === at); }); items()[at].focus(); }
  function detail(k) { if (quiet) return; at = k; const i = rows[k];
    ctx.say([["mono", v.words[i]], ["", ": reward "], ["b", num(v.rewards[i])], ["", `, reference ${pct(v.reference[i])}, `], ["m1", "policy"], ["", ` ${pct(policy(i))} at step ${now()}, optimum `], ["b", pct(v.optimum[i])], ["", ". Left and right change its reward."]]); }
  const go = k => { const to = Math.max(0, Math.min(v.steps, k)); if (to !== now()) ctx.set("at", to); return to; };
  function stop() { clearInterval(playing); playing = 0; play.textContent = "▶ Play"; }
  function toggle() {
    if (playing) return stop();
    go(now() >= v.steps ? 0 : now() + 1);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    play.textContent = "❚❚ Pause";
    playing = setInterval(() => { if (!chart.isConnected || go(now() + 1) >= v.steps) stop(); }, 150);
  }
  ctx.model.on("change:at", paint);
  return {el: whole, draw, keys: [["↑ ↓", "walk the tokens"], ["← →", "pay less or more, with Shift by a hundredth"], ["Space", "play or pause"], ["s", "one step"], ["d", "draw others"]],
    click(name) { if (name === "play") { toggle(); return true; } stop(); return false; },
    key(e) {
      if (!chart.contains(e.target)) return false;
      const i = rows[at], by = e.shiftKey ? .01 : .1, to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: rows.length - 1, PageUp: 0}[e.key];
      if (e.key === " ") toggle();
      else if (e.key === "s") { stop(); go(now() + 1); }
      else if (e.key === "d") { if (v.sampled) other(); }
      else if (e.key === "ArrowRight") pay(i, ctx.get("rewards")[i] + by);
      else if (e.key === "ArrowLeft") pay(i, ctx.get("rewards")[i] - by);
      else if (to !== undefined) focus(to);
      else return false;
      return true;
    }};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
