// What /metrics says, read as Prometheus reads it.

/** A scrape: the samples of each family, and when. */
export class Scrape {
  constructor(text, atMs) {
    this.atMs = atMs;
    this.samples = new Map();
    for (const line of text.split("\n")) {
      const found = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line);
      if (!found || line.startsWith("#")) continue;
      const labels = {};
      for (const [, name, value] of (found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[name] = value;
      if (!this.samples.has(found[1])) this.samples.set(found[1], []);
      this.samples.get(found[1]).push({ labels, value: Number(found[3].replace("Inf", "Infinity")) });
    }
  }

  /** Every sample of a name. */
  all(name) {
    return this.samples.get(name) ?? [];
  }

  /** The sum of all samples of a name. */
  sum(name) {
    return this.all(name).reduce((sum, { value }) => sum + value, 0);
  }

  /** A histogram over all its labels: how many were at most `le`, cumulative, by rising `le`. */
  buckets(name) {
    const counts = new Map();
    for (const { labels, value } of this.all(`${name}_bucket`)) {
      const le = Number(labels.le.replace("Inf", "Infinity"));
      counts.set(le, (counts.get(le) ?? 0) + value);
    }
    return [...counts].map(([le, value]) => ({ le, value })).sort((a, b) => a.le - b.le);
  }
}

/** The histogram of what came between two scrapes. */
export function between(before, now, name) {
  const past = new Map(before?.buckets(name).map(({ le, value }) => [le, value]));
  return now.buckets(name).map(({ le, value }) => ({ le, value: value - (past.get(le) ?? 0) }));
}

/** Below what a share of all lies, as far as buckets tell; NaN where there are none. */
export function quantile(buckets, share) {
  const total = buckets.at(-1)?.value ?? 0;
  if (!total) return NaN;
  const wanted = share * total;
  const at = buckets.findIndex(({ value }) => value >= wanted);
  const low = at ? buckets[at - 1] : { le: 0, value: 0 };
  const high = buckets[at];
  if (!Number.isFinite(high.le)) return low.le;
  return low.le + ((high.le - low.le) * (wanted - low.value)) / Math.max(1e-12, high.value - low.value);
}

/** What share of all is in each bucket, without the empty ends. */
export function shares(buckets) {
  const total = buckets.at(-1)?.value ?? 0;
  const each = buckets.map(({ le, value }, i) => ({ le, from: i ? buckets[i - 1].le : 0, value: total ? (value - (i ? buckets[i - 1].value : 0)) / total : 0 }));
  const first = each.findIndex(({ value }) => value > 0);
  const last = each.findLastIndex(({ value }) => value > 0);
  return first < 0 ? [] : each.slice(first, last + 1);
}
