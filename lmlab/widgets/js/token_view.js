// TokenView: a text as several tokenizers cut it; below each token of a model hangs its surprise.
function picture(ctx) {
  const place = h("div"), key = h("div"), el = h("div", {}, place, key);
  let rows = null, answered = false;

  function under(strip, slot, k, top, P) {
    const bits = strip.bits[k];
    if (!strip.bits.length) return null;
    const high = P ? 60 : 44, w = bits === null ? high : Math.max(1, high * Math.min(1, bits / top));
    return h("span", {"data-bits": bits, style: {position: "absolute", left: 0, right: 0, top: "calc(100% + 5px)", "text-align": "center", "font-size": "var(--note)", "font-weight": 400, "font-family": "var(--jp-content-font-family, sans-serif)", "line-height": 1.2, color: `var(--m${slot + 1}-text)`, "pointer-events": "none"}},
      h("i", {class: "eased", style: {display: "block", height: w + "px", background: `var(--m${slot + 1})`, "border-radius": "0 0 3px 3px", "margin-bottom": "2px"}}), bits === null ? "∞" : num(bits, bits < 9.95 ? 1 : 0));
  }
  function tokens(strip, slot, v, P) {
    const show = ctx.get("show"), texts = show === "ids" ? strip.ids.map(n => n < 0 ? "–" : String(n)) : show === "bytes" ? strip.hexes : strip.texts;
    return texts.map((text, k) => ({text, bytes: strip.hexes[k].split(" ").length, start: strip.starts[k], end: strip.ends[k], part: strip.parts[k], none: strip.ids[k] < 0,
      said: strip.details[k].map(([, words]) => words).join(""), under: under(strip, slot, k, v.top_bits, P)}));
  }
  function draw(v) {
    const P = ctx.present(), held = place.contains(document.activeElement), all = v.strips.map((strip, slot) => ({name: strip.name, tokens: tokens(strip, slot, v, P)}));
    rows = tokenRows(all, {at: rows ? rows.at() : [0, 0], onfocus: (r, k) => { if (!answered) ctx.say(v.strips[r].details[k]); }, onblur: () => ctx.say(ctx.view().readout)});
    place.replaceChildren(...v.strips.map((strip, r) => {
      rows.els[r].style.cssText = `display:flex;flex-wrap:wrap;row-gap:${strip.bits.length ? P ? 100 : 64 : 0}px;padding:3px 2px ${strip.bits.length ? P ? 96 : 62 : 0}px;min-height:${P ? 60 : 44}px;max-height:min(320px,40vh);overflow:auto;overflow-x:hidden`;
      if (!strip.texts.length) rows.els[r].append(h("span", {class: "cap"}, r ? "" : "Type a text in the box above"));
      if (v.hidden) rows.els[r].append(h("span", {class: "tok gap"}, `… ${v.hidden.toLocaleString("en-US")} more characters …`));
      return h("div", {style: {"margin-bottom": "calc(4*var(--u))"}}, h("h4", {style: {"font-weight": 400, "font-size": P ? "" : "var(--body)"}}, spans(strip.head)), rows.els[r]);
    }));
    key.hidden = P;
    key.replaceChildren(tintKey(v.strips.some(strip => strip.bits.length) ? [[{background: "var(--m1)", height: "16px", width: "12px"}, "bits of surprise, hanging below"]] : []));
    if (held) { answered = true; rows.focus(); answered = false; }
  }
  return {el, draw, keys: [["← →", "walk the tokens"], ["↑ ↓", "the same place in another tokenizer"]], key: e => place.contains(e.target) && rows.key(e)};
}
export default {render: ({model, el}) => mount(model, el, {picture})};
