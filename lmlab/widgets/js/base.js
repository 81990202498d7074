// What every widget shares: the frame, the controls, the sentence. No text ever becomes markup here.
const NARROW = "\u202f", MINUS = "\u2212", SVG = "http://www.w3.org/2000/svg";

// h("div", {class: "x", onclick: f}, child, "text") makes an element; texts become text nodes, never HTML
function make(node, props, kids) {
  for (const [key, value] of Object.entries(props || {})) {
    if (key.startsWith("aria-") && typeof value === "boolean") node.setAttribute(key, String(value));
    else if (value === undefined || value === null || value === false) continue;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "style" && typeof value === "object") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...kids.flat().filter(kid => kid !== null && kid !== undefined));
  return node;
}
const h = (tag, props, ...kids) => make(document.createElement(tag), props, kids);
const s = (tag, props, ...kids) => make(document.createElementNS(SVG, tag), props, kids);
// what can take the keyboard: JupyterLab must leave the arrow keys to it (the attribute counts on the focused node alone)
const KEYS = {"data-lm-suppress-shortcuts": "true"};

// the same rules as _style.py, for the few numbers that are computed here
function num(x, digits = 2) {
  const t = Math.abs(x).toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
  return (x < 0 && /[1-9]/.test(t) ? MINUS : "") + t;
}
function pct(p) {
  if (!(p > 0)) return "0";
  if (p < 1e-4) {
    const odds = 1 / p;
    if (odds >= 1e6) return "1 in 10" + String(Math.round(Math.log10(odds))).replace(/./g, c => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]);
    const step = 10 ** (String(Math.round(odds)).length - 2);
    return "1 in " + (Math.round(odds / step) * step).toLocaleString("en-US");
  }
  const digits = p >= .9995 ? 0 : p >= .995 ? 1 : p >= .0995 ? 0 : p >= .00995 ? 1 : p >= .000995 ? 2 : 3;
  return (100 * p).toFixed(digits) + NARROW + "%";
}

// a model's mark: circle, square, triangle, diamond; the shape says what the color says
function shape(slot, x, y, r, fill) {
  const p = [`M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`, `M${x - .9 * r} ${y - .9 * r}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
    `M${x} ${y - r}l${1.05 * r} ${1.85 * r}h${-2.1 * r}z`, `M${x} ${y - 1.15 * r}l${1.15 * r} ${1.15 * r}l${-1.15 * r} ${1.15 * r}l${-1.15 * r} ${-1.15 * r}z`][slot];
  return s("path", {d: p, fill});
}
const mark = slot => s("svg", {class: "mark", viewBox: "0 0 12 12", "aria-hidden": "true"}, shape(slot, 6, 6, 5, `var(--m${slot + 1})`));

// a sentence arrives as [style, text] pairs
function spans(list) {
  return (list || []).map(([style, text]) => {
    if (style === "b") return h("b", {}, text);
    if (style === "mono" || style === "you") return h("span", {class: style}, text);
    if (style === "bad") return h("b", {style: {color: "var(--bad)"}}, text);
    if (/^m[1-4]$/.test(style)) return h("span", {class: `named n${style[1]}`}, mark(style[1] - 1), text);
    return document.createTextNode(text);
  });
}

const LIMIT = 200000; // characters; more than this is refused before it is sent

const CONTROLS = {
  text(spec, ctx) {
    // an answer that arrives leaves alone what is being typed
    let timer = 0, typing = false;
    const box = h("textarea", {rows: 1, wrap: "off", "aria-label": spec.name, spellcheck: "false", autocomplete: "off",
      placeholder: spec.placeholder, ...KEYS});
    const commit = () => { const value = box.value; clearTimeout(timer); typing = false; ctx.stale(false); // which draws, and with it the box, as it was
      if (value.length > LIMIT) ctx.error(`This text has ${value.length.toLocaleString("en-US")} characters; at most ${LIMIT.toLocaleString("en-US")} are read here. Shorten it.`);
      else ctx.set(spec.name, value); };
    const grow = () => { const n = Math.min(4, box.value.split("\n").length); // four lines at most, then it scrolls
      box.style.cssText = n > 1 ? `height:calc(var(--ctl) + ${1.45 * (n - 1)}em);line-height:1.45;padding-top:.45em` : ""; };
    box.addEventListener("input", () => { clearTimeout(timer); typing = true; grow();
      if (!spec.live) return;
      if (ctx.model.get("_live") && !spec.on_enter && box.value.length < 5000) timer = setTimeout(commit, 120); else ctx.stale(box.value !== ctx.get(spec.name)); });
    box.addEventListener("keydown", e => {
      if (e.isComposing) return;
      if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); commit(); }
      else if (e.key === "Escape") { e.stopPropagation(); if (box.value !== ctx.get(spec.name)) { box.value = ctx.get(spec.name); typing = false; ctx.stale(false); } else box.blur(); }
    });
    return {el: box, show: v => { if (!typing || document.activeElement !== box) { box.value = v; typing = false; } grow(); }};
  },
  slider(spec, ctx) {
    const out = h("output", {"aria-hidden": "true"}), show = v => { bar.value = v; bar.style.setProperty("--fill", 100 * (v - spec.min) / (spec.max - spec.min || 1) + "%");
      out.textContent = (ctx.labels[spec.name + ":value"] || num(+v, spec.step < 1 ? 2 : 0) + (spec.suffix || "")); };
    const bar = h("input", {type: "range", min: spec.min, max: spec.max, step: spec.step, "aria-label": spec.label, ...KEYS,
      oninput: () => { show(+bar.value); if (spec.live && ctx.model.get("_live")) ctx.set(spec.name, +bar.value); },
      onchange: () => ctx.set(spec.name, +bar.value)});
    return {el: h("div", {class: "lm-slide"}, bar, out), show, focus: bar};
  },
  segments(spec, ctx) {
    const id = "lm" + Math.random().toString(36).slice(2);
    const radios = spec.options.map(([value]) => h("input", {type: "radio", name: id, value, ...KEYS, onchange: () => ctx.set(spec.name, value)}));
    const el = h("div", {class: "lm-seg", role: "radiogroup", "aria-label": spec.label}, spec.options.map(([, text], i) => h("label", {}, radios[i], text)));
    return {el, show: v => radios.forEach(r => { r.checked = r.value === String(v); })};
  },
  select(spec, ctx) {
    const el = h("select", {"aria-label": spec.label, ...KEYS, onchange: () => ctx.set(spec.name, el.value)},
      spec.options.map(([value, text]) => h("option", {value}, text)));
    return {el, show: v => { el.value = v; }};
  },
  button(spec, ctx) {
    const el = h("button", {type: "button", class: spec.main && "main", ...KEYS, onclick: () => ctx.click(spec.name)}, spec.label);
    return {el, show() {}, bare: true};
  },
};

// kind = {picture(ctx) -> {el, draw(view), key?(event) -> true when used, keys?: [[key, what]]}}
function mount(model, el, kind) {
  const off = [], q = h("span"), about = h("small"), bar = h("i"), error = h("div", {class: "lm-error", role: "alert", hidden: true});
  const controls = h("div", {class: "lm-controls"}), place = h("div", {class: "lm-picture"}), foot = h("div", {class: "lm-foot"});
  const read = h("div", {class: "lm-read", role: "status", "aria-live": "polite"}), help = h("div", {class: "lm-keys", hidden: true}), after = h("div", {class: "lm-after"});
  const root = h("div", {class: "lm", "data-lmlab": model.get("_name")},
    h("div", {class: "lm-q"}, q, about), h("div", {class: "lm-busy"}, bar), controls, error, place, read, after, foot, help);
  const inputs = {};
  let asked = 0, ticker = 0, quiet = 0;

  const settle = () => { clearInterval(ticker); asked = 0; root.classList.remove("busy"); bar.style.width = "0"; };
  const waiting = () => {
    const t = (performance.now() - asked) / 1000;
    if (!asked || t < .3) return;
    root.classList.add("busy"); bar.style.width = Math.round(100 * (1 - Math.exp(-t / 2))) + "%";
    read.textContent = t < 15 || model.get("_busy") ? `Computing… ${t.toFixed(1)} s` : "Not connected: no answer from the kernel. Run this cell again.";
  };
  const ctx = {
    model, root, after, labels: {}, // on a narrow page what stands aside goes `after` the readout
    get: name => model.get(name),
    view: () => model.get("view"),
    // set a trait and ask the kernel; `quietly` sets it without waiting for an answer
    set(name, value, quietly) {
      if (model.get(name) === value) return;
      model.set(name, value); model.save_changes();
      if (!quietly && !asked && !(inputs[name] && inputs[name].local)) { asked = performance.now(); clearInterval(ticker); ticker = setInterval(waiting, 100); }
    },
    // a press travels with the state: as a message of its own it would overtake what still waits to be sent
    click(name) { if (picture.click && picture.click(name)) return;
      const past = model.get("_clicks").slice(-9); model.set("_clicks", [...past, [past.length ? past[past.length - 1][0] + 1 : 1, name]]); model.save_changes(); },
    // the readout; while it changes many times a second a screen reader is told to wait for its rest
    say(list) { read.setAttribute("aria-busy", "true"); clearTimeout(quiet); quiet = setTimeout(() => read.setAttribute("aria-busy", "false"), 500);
      read.replaceChildren(...spans(list)); },
    stale(on) { root.classList.toggle("stale", !!on); if (on) ctx.say([["", "The text has changed. "], ["b", "Press Enter"], ["", " to compute."]]); else if (root.dataset.was) draw(); root.dataset.was = on ? "1" : ""; },
    error(text) { error.hidden = !text; error.textContent = text ? "✕ " + text : ""; },
    color: name => getComputedStyle(root).getPropertyValue("--" + name).trim(),
    present: () => root.classList.contains("present"),
    room: (part, least, most) => Math.max(least, Math.min(most, innerHeight - 110 - (root.offsetHeight - after.offsetHeight - part.offsetHeight))), // its height on a projector, so that nothing scrolls below JupyterLab's own rows
    input: name => inputs[name],
  };
  for (const spec of model.get("_controls")) {
    const c = CONTROLS[spec.kind](spec, ctx), cap = h("span", {class: "cap", "aria-hidden": "true"}, c.bare ? "\u00a0" : spec.label);
    controls.append(h("div", {class: "lm-c" + (spec.wide ? " wide" : "") + (spec.secondary ? " secondary" : ""), "data-control": spec.name}, cap, c.el));
    inputs[spec.name] = {...c, cap, spec, label: spec.label, local: spec.local, box: controls.lastChild}; // a picture may move the box to a place of its own
    on("change:" + spec.name, () => { c.show(model.get(spec.name)); if (spec.local) draw(); });
  }
  controls.hidden = !model.get("_controls").length;
  const picture = kind.picture(ctx);
  place.append(picture.el);
  help.append(...[...(picture.keys || []), ["r", "reset"], ["p", "projector size"], ["?", "these keys"]].flatMap(([k, what]) => [h("kbd", {}, k), ` ${what}   `]));
  place.addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || /^(TEXTAREA|SELECT)$/.test(e.target.tagName) || (e.target.tagName === "INPUT" && e.target.type === "text")) return;
    if (e.key === "?") help.hidden = !help.hidden;
    else if (e.key === "p") { model.set("presenter", !model.get("presenter")); model.save_changes(); }
    else if (e.key === "r") ctx.click("reset");
    else if (e.key === "Escape") { e.target.blur(); root.closest(".jp-Cell")?.focus(); } // back to the cell, whose arrow keys go on
    else if (!(picture.key && picture.key(e))) return;
    e.preventDefault(); e.stopPropagation();
  });

  function on(event, f) { model.on(event, f); off.push(() => model.off(event, f)); }
  function draw() {
    const v = model.get("view");
    if (!v || !v.readout) return;
    ctx.labels = v.labels || {};
    q.textContent = v.question; about.textContent = v.about; foot.replaceChildren(...spans(v.foot)); foot.hidden = !v.foot.length;
    for (const [name, c] of Object.entries(inputs)) { c.show(model.get(name)); if (!c.bare) c.cap.textContent = ctx.labels[name] || c.label; }
    ctx.say(v.readout);
    if (root.clientWidth) return picture.draw(v);
    width = 0; // not in the page yet, or hidden while JupyterLab changes its theme: drawn when it gets a width
    requestAnimationFrame(() => { if (root.clientWidth && !width) { width = Math.round(root.clientWidth); draw(); } });
  }
  function answered() { settle(); root.dataset.was = ""; root.classList.remove("stale"); ctx.error(model.get("_error")); draw();
    if (model.get("_error")) ctx.say([["", "No result: see the message above."]]); }
  const sized = () => root.classList.toggle("present", model.get("presenter"));
  const redraw = () => { sized(); draw(); }; // what is painted on a canvas follows neither theme nor width by itself
  on("change:_done", answered);
  on("change:presenter", redraw);
  const themes = new MutationObserver(redraw); themes.observe(document.body, {attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"]});
  let width = 0; const sizes = new ResizeObserver(() => { const w = Math.round(root.clientWidth); if (w && w !== width) { width = w; redraw(); } });
  el.append(h("div", {class: "lm-box"}, root)); sizes.observe(root);
  sized(); answered();
  return () => { off.forEach(f => f()); themes.disconnect(); sizes.disconnect(); clearInterval(ticker); clearTimeout(quiet); };
}
