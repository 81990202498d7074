// Rows of tokens, one row a tokenizer. One tab stop for all: left and right walk a row, up and down stay at the place.
const tint = n => n === 1 ? "transparent" : `var(--t${n === 2 ? 1 : n <= 4 ? 2 : n <= 7 ? 3 : 4})`;

// what the tints say; `more` are further [style, words] entries
function tintKey(more = []) {
  const box = style => h("i", {style: {display: "inline-block", width: "22px", height: "16px", "border-radius": "3px", "margin-right": "6px", "vertical-align": "-3px", ...style}});
  const tints = [["1", 1], ["2", 2], ["3–4", 3], ["5–7", 5], ["8 +", 8]].map(([words, n]) => [{background: tint(n), "box-shadow": "inset 0 -2px 0 var(--edge)"}, words]);
  return h("div", {class: "cap", style: {display: "flex", gap: "4px 16px", "margin-top": "12px", "flex-wrap": "wrap"}}, h("span", {}, "Bytes in a token"), [...tints, ...more].map(([style, words]) => h("span", {}, box(style), words)));
}

// rows: [{name, tokens: [{text, bytes, start, end, part, none, said, under}]}]; onfocus(row, k), onblur()
function tokenRows(rows, {at = [0, 0], onfocus, onblur}) {
  const chip = (t, r, k) => h("span", {class: "tok", role: "option", "aria-selected": "false", "aria-label": t.said || t.text, tabindex: -1, ...KEYS,
    style: {position: "relative", "justify-content": "center", ...(t.under ? {"min-width": "calc(1.9*var(--note))"} : {}), background: t.none ? "repeating-linear-gradient(45deg, var(--line) 0 1.5px, transparent 1.5px 6px)" : tint(t.bytes), ...(t.part ? {"border-bottom-style": "dashed", "font-size": ".87em", color: "var(--ink-2)"} : {})},
    onclick: () => go(r, k), onfocus: () => { choose(r, k); if (onfocus) onfocus(r, k); }, onblur: () => { paint(false); if (onblur) onblur(); }}, t.text, t.under || null);
  const chips = rows.map((row, r) => row.tokens.map((t, k) => chip(t, r, k)));
  const els = rows.map((row, r) => h("div", {role: "listbox", "aria-label": `tokens of ${row.name}`, "aria-orientation": "horizontal"}, chips[r]));
  function paint(on) { // the chosen token, and in the other rows whatever touches the same characters
    const one = rows[at[0]] && rows[at[0]].tokens[at[1]];
    chips.forEach((list, r) => list.forEach((el, k) => { const t = rows[r].tokens[k], me = r === at[0] && k === at[1];
      el.tabIndex = me ? 0 : -1; el.setAttribute("aria-selected", on && me);
      el.style.boxShadow = on && !me && one && r !== at[0] && t.start < one.end && t.end > one.start ? "0 0 0 2px var(--ink)" : ""; }));
  }
  function choose(r, k) { at = [r, k]; paint(true); }
  function go(r, k) { chips[r][k].focus(); }
  function key(e) {
    const [r, k] = at, row = rows[r] && rows[r].tokens;
    if (!row || !row.length) return false;
    const up = {ArrowUp: -1, ArrowDown: 1}[e.key];
    if (up) {
      for (let q = r + up; rows[q]; q += up) { const near = rows[q].tokens.findIndex(t => t.end > row[k].start); if (near >= 0) { go(q, near); break; } }
      return true;
    }
    const to = step(e, k, 0, row.length - 1);
    if (to === undefined) return false;
    go(r, to);
    return true;
  }
  at = [Math.min(at[0], Math.max(0, rows.length - 1)), 0 + at[1]];
  if (rows[at[0]]) at[1] = Math.max(0, Math.min(at[1], rows[at[0]].tokens.length - 1));
  if (!chips[at[0]] || !chips[at[0]].length) { const r = chips.findIndex(list => list.length); if (r >= 0) at = [r, 0]; }
  paint(false);
  return {els, key, at: () => at, focus: () => { if (chips[at[0]] && chips[at[0]][at[1]]) go(...at); }};
}
