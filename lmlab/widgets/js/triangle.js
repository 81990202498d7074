// Patterns of causal attention: half-precision numbers, a picture of the past alone, a long row of tokens folded into one line.
const half = b => { const e = b >> 10 & 31, f = b & 1023, v = e === 0 ? f * 2 ** -24 : e === 31 ? Infinity : (1 + f / 1024) * 2 ** (e - 15); return b & 32768 ? -v : v; };
const HATCH = "repeating-linear-gradient(45deg, var(--line) 0 1.5px, transparent 1.5px 6px)";

// one pixel a cell, drawn into a square of w px at x, y; shade(i, j) is the place on Cividis, 0 to 255, and the future stays transparent
function triangle(c2d, n, shade, x, y, w) {
  const tile = h("canvas", {width: n, height: n}), c = tile.getContext("2d"), image = c.createImageData(n, n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) image.data.set([...CIVIDIS[shade(i, j)], 255], 4 * (i * n + j));
  c.putImageData(image, 0, 0);
  c2d.imageSmoothingEnabled = false; c2d.drawImage(tile, x, y, w, w);
}

// A projector has no room for a hundred tokens. Of a strip on the page those stay that one line of `room` px holds, in the order of `first`; each gap says how many it hides.
function fold({el, items}, first, room) {
  const note = t => h("span", {class: "cap", style: {"align-self": "center", padding: "0 6px"}}, t), widest = note(`… ${items.length} …`);
  el.append(widest);
  const wide = Array.from(items, e => e ? e.offsetWidth : 0), space = widest.offsetWidth + 4, kept = new Set();
  widest.remove();
  // of the tokens and gaps so far; the unit, said once, takes as much as a gap
  const width = () => wide.reduce((sum, w, j) => sum + (kept.has(j) ? w + 4 : !j || kept.has(j - 1) ? space : 0), space);
  const keep = j => { if (items[j] && kept.add(j) && width() > room) kept.delete(j); };
  first.forEach(keep);
  // no gap of one where its token fits
  wide.forEach((_, j) => { if (kept.has(j - 1) && kept.has(j + 1)) keep(j); });
  el.querySelectorAll(".gap").forEach(e => e.remove());
  let hidden = 0, unit = " tokens";
  const gap = before => { if (!hidden) return; el.insertBefore(note(`… ${hidden}${unit} …`), before); hidden = 0; unit = ""; };
  wide.forEach((_, j) => { if (kept.has(j)) gap(items[j]); else { hidden++; if (items[j]) items[j].style.display = "none"; } });
  gap(null);
}
