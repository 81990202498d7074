// What levels cost the weights, from fine bins: the arithmetic of QuantizationBins, without a picture.

// two significant digits where small: the same rule as shown_error in Python
const errorText = e => e >= .01 ? num(e, e >= 9.95 ? 1 : e >= .995 ? 2 : 3) : e > 0 ? num(e, 1 - Math.floor(Math.log10(e))) : "0";

// which level each fine bin goes to, its share of the weights, and the mean squared error (see FineBins in Python)
function cost(fine, v, levels) {
  const n = fine.length / 4, wide = (v.high - v.low) / n, counts = levels.map(() => 0), mass = levels.map(() => 0), moment = levels.map(() => 0);
  let k = 0, error = 0, all = 0;
  for (let i = 0; i < n; i++) {
    const z = v.low + (i + .5) * wide;
    while (k < levels.length - 1 && z > (levels[k] + levels[k + 1]) / 2) k++;
    const l = levels[k], [m0, m1, m2] = [fine[n + i], fine[2 * n + i], fine[3 * n + i]];
    counts[k] += fine[i]; all += fine[i]; mass[k] += m0; moment[k] += m1; error += m2 - 2 * l * m1 + l * l * m0;
  }
  return {error: Math.max(0, error), shares: counts.map(c => c / all), means: moment.map((m, j) => mass[j] ? m / mass[j] : levels[j])};
}

// all levels wider or narrower by a factor, in their order; null where one would leave the range
function stretched(levels, factor, low, high) {
  const wide = levels.map(z => z * factor);
  return wide[0] < low || wide.at(-1) > high || wide.some((z, i) => i && z - wide[i - 1] < 1e-3) ? null : wide;
}
