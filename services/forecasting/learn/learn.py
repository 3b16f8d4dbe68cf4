#!/usr/bin/env python3
"""Learns ../src/model/learned.rs from benchmark series: how the members are weighted, how wide the ranges are, and how
the errors of one series go together. Needs numpy and scipy.

    cargo build --release                                   # of this folder
    python3 learn.py --data DATA --learn target/release/learn --work /tmp/learn            # writes the table
    python3 learn.py ... --fold 2 --table /tmp/learned.rs   # the table that has not seen a fifth of the series

DATA holds NAME_train.csv.gz and NAME_test.csv.gz. Series are told apart by a hash of their name (origins of one series
stay together), so that --fold gives an honest check: build with that table and score only the series of that fold
(--list-fold prints them). What is learned is shared by all series of a frequency; nothing is kept of a single one.
"""
import argparse
import csv
import gzip
import hashlib
import os
import pickle
import re
import subprocess

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm as normal

FEATURES = 10
FOLDS = 5
ORIGINS, MORE_ORIGINS = 3, {"m4_quarterly": 6, "m3_quarterly": 6}
CUT = 9  # the "origin" of histories that were cut short
# Each set with its weight in the loss of the course and of the ranges.
MONTHLY = {"m4s_monthly": (1, 1), "m1_monthly": (1, 1), "tourism_monthly": (0.5, 0.5), "vn_monthly": (1.2, 3.2),
           "vn_gaps": (0.4, 0.4)}
QUARTERLY = {"m4_quarterly": (1, 1), "m3_quarterly": (1, 1)}
YEARLY = {"m4_yearly": (1, 1), "m3_yearly": (1, 1)}
SETS = {"monthly": MONTHLY, "quarterly": QUARTERLY, "yearly": YEARLY,
        "short-monthly": MONTHLY, "short-quarterly": QUARTERLY, "short-yearly": YEARLY}
SEASONAL = ("year-ago", "year", "calm-ridge-raw", "quarter-raw")
UNUSED = {"yearly": SEASONAL, "short-yearly": SEASONAL}
# What every series gives to these members, evenly, whatever the gate says: mixed in afterwards, as learning with it would
# only push the gate the other way.
CORE = ("damped", "damped-log", "theta", "dotm", "ces", "ridge", "ets", "ets-log", "airline", "sarma", "smooth",
        "ridge-raw", "smooth-calm")
SHARE = 0.3
RIDGE = 1e-3
RANGE_RIDGE = 4e-3
# The scale depends on the products of all pairs of these circumstances; the fewer series, the less on most of them.
CIRCUMSTANCES = FEATURES + 5
LEFT, RIGHT = np.triu_indices(CIRCUMSTANCES)
PRODUCT_RIDGE = {"monthly": 0.03, "quarterly": 0.05, "yearly": 0.2, "short-monthly": 0.3, "short-quarterly": 1,
                 "short-yearly": 1}
FARTHEST_APART = 4.0
FARTHEST = 2.0
CENTRED = 0.8
LEVELS = np.array([-3.1, -2.576, -1.96, -1.645, -1.2816, -0.6745, 0, 0.6745, 1.2816, 1.645, 1.96, 2.576, 3.1])
STEPS = np.array([1, 2, 4, 7, 13])
LARGEST_ROOT, LARGEST_RANGE, GAP = 3.5, 2.0, 0.25


def rows(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", newline="") as file:
        yield from csv.DictReader(file)


def vector(text):
    return np.array([np.nan if word == "NA" else float(word) for word in text.split()])


def fold_of(name):
    base = re.sub(r"_\d{4}-\d\d$", "", name)
    return int(hashlib.md5(base.encode()).hexdigest(), 16) % FOLDS


def naive2(y, m, h):
    """The benchmark of OWA: the last value, seasonally adjusted where that stands out."""
    known = np.flatnonzero(np.isfinite(y))
    y = np.interp(np.arange(len(y)), known, y[known])
    n = len(y)
    if m < 2 or n < 3 * m or (y <= 0).any():
        return np.full(h, y[-1])
    c = y - y.mean()
    r = np.array([(c[k:] * c[:-k]).sum() for k in range(1, m + 1)]) / ((c * c).sum() or np.inf)
    if abs(r[-1]) <= 1.645 * np.sqrt((1 + 2 * (r[:-1] ** 2).sum()) / n):
        return np.full(h, y[-1])
    trend = np.convolve(y, np.r_[0.5, np.ones(m - 1), 0.5] / m, "valid")
    ratio = np.full(n, np.nan)
    ratio[m // 2:m // 2 + len(trend)] = y[m // 2:m // 2 + len(trend)] / trend
    s = np.array([np.nanmean(ratio[i::m]) for i in range(m)])
    s /= s.mean()
    return y[-1] / s[(n - 1) % m] * s[(n + np.arange(h)) % m]


def smape(y, f):
    size = np.abs(y) + np.abs(f)
    return np.nanmean(np.where(size > 0, 200 * np.abs(y - f) / np.where(size > 0, size, 1), 0 * size))


class Sample:
    """What the members said of one history, and what came then."""

    def __init__(self, name, set_name, origin, m, h, end, cut, y):
        self.name, self.set, self.origin, self.m, self.h = name, set_name, origin, m, h
        self.fold = fold_of(name)
        history, self.y = y[:end], y[end:end + h]
        self.q = np.nanmean(np.abs(history[m:] - history[:-m])) if end > m else np.nan
        base = naive2(history, m, h)
        self.base = (smape(self.y, base), np.nanmean(np.abs(self.y - base)) / self.q if self.q > 0 else np.nan)
        part = history[cut:]
        self.unit = np.nanmax(np.abs(part)) or 1.0
        recent = part[-max(m, 2):]
        self.gaps = np.isnan(recent).mean()
        self.is_short = end - cut < (2 * m + 5 if m > 1 else 10)
        self.trust = 0.7 if 0 < origin < CUT else 1.0
        self.members = {}


def load(set_name, data, binary, work):
    path = os.path.join(work, set_name + ".csv")
    train = os.path.join(data, set_name + "_train.csv.gz")
    subprocess.run([binary, "study", train, str(MORE_ORIGINS.get(set_name, ORIGINS)), path], check=True)
    series = {row["series_id"]: vector(row["values"]) for row in rows(train)}
    for row in rows(train.replace("_train", "_test")):
        series[row["series_id"]] = np.r_[series[row["series_id"]], vector(row["values"])]
    samples, last = [], None
    for row in rows(path):
        key = (row["series_id"], row["origin"])
        if key != last:
            last = key
            m, h, end, cut, origin = (int(row[word]) for word in ("m", "h", "n", "cut", "origin"))
            samples.append(Sample(row["series_id"], set_name, origin, m, h, end, cut, series[row["series_id"]]))
        samples[-1].members[row["member"]] = vector(row["values"])
    return [s for s in samples if s.q > 0]


class Block:
    """Samples as arrays, padded to the longest horizon, with the weights of the loss: half relative sMAPE, half MASE."""

    def __init__(self, samples, names, sets):
        count, steps = len(samples), max(s.h for s in samples)
        self.F = np.zeros((count, len(names), steps))
        self.y, self.ok = np.zeros((count, steps)), np.zeros((count, steps), bool)
        self.a, self.b = np.zeros(count), np.zeros(count)
        self.X = np.array([np.r_[1, s.members["features"][:FEATURES]] for s in samples])
        total, base = {}, {}
        for s in samples:
            total[s.set] = total.get(s.set, 0) + s.trust
            base.setdefault(s.set, []).append(s.base)
        base = {name: np.nanmean(values, 0) for name, values in base.items()}
        for i, s in enumerate(samples):
            self.F[i, :, :s.h] = [s.members[name] for name in names]
            self.y[i, :s.h], self.ok[i, :s.h] = np.nan_to_num(s.y), np.isfinite(s.y)
            weight = sets[s.set][0] * s.trust / total[s.set] / max(self.ok[i].sum(), 1)
            self.a[i] = weight / 2 / base[s.set][0]
            self.b[i] = weight / 2 / base[s.set][1] / s.q
        self.reach = reach(np.arange(steps), samples[0].m)

    def loss(self, f):
        error, size = f - self.y, np.maximum(np.abs(f) + np.abs(self.y), 1e-12)
        both = (f > 0) & (self.y > 0)
        loss = (self.a[:, None] * 200 * np.abs(error) / size + self.b[:, None] * np.abs(error)) * self.ok
        slope = np.where(both, 400 * np.minimum(f, self.y) / size ** 2, 0)
        return loss.sum(), np.sign(error) * (self.a[:, None] * slope + self.b[:, None]) * self.ok


def reach(step, m):
    return np.log((step + 1) / (m / 2 + 1)) / 2


def relative(size):
    return np.minimum(np.log(size + 0.05), FARTHEST_APART)


def shares(names):
    core = np.isin(names, CORE)
    return SHARE * core / core.sum()


def weights(table, block):
    z = (block.X @ table[:, :-1].T)[:, :, None] + table[:, -1][None, :, None] * block.reach
    w = np.exp(z - z.max(1, keepdims=True))
    return w / w.sum(1, keepdims=True)


def learn_gate(samples, names, sets):
    """Softmax weights, linear in the features and the step, by the loss that is scored."""
    block = Block(samples, names, sets)
    shape = (len(names), FEATURES + 2)
    penalty = np.full(shape, RIDGE)
    penalty[:, 0] *= 0.1

    def cost(flat):
        table = flat.reshape(shape)
        w = weights(table, block)
        f = (w * block.F).sum(1)
        loss, slope = block.loss(f)
        dz = w * (block.F - f[:, None, :]) * slope[:, None, :]
        gradient = np.c_[dz.sum(2).T @ block.X, (dz * block.reach).sum((0, 2))]
        return loss + (penalty * table ** 2).sum(), (gradient + 2 * penalty * table).ravel()

    found = minimize(cost, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 150})
    return found.x.reshape(shape)


def apply_gate(table, samples, names, sets):
    block = Block(samples, names, sets)
    w = shares(names)[None, :, None] + (1 - SHARE) * weights(table, block)
    f = (w * block.F).sum(1)
    apart = np.sqrt((w * (block.F - f[:, None, :]) ** 2).sum(1))
    for i, s in enumerate(samples):
        s.f, s.apart = f[i, :s.h], apart[i, :s.h]


def grown(off):
    """A factor whose root is linear: less skewed than an exponential, and never negative."""
    return np.clip(1 + off / 2, 0.01, LARGEST_ROOT) ** 2


class Errors:
    """One row of each step of each sample, for learning how far values lie from the course."""

    def __init__(self, samples, sets):
        total = {}
        for s in samples:
            total[s.set] = total.get(s.set, 0) + s.trust
        parts = []
        for i, s in enumerate(samples):
            features = s.members["features"]
            change, is_log, span = features[FEATURES], features[FEATURES + 5] > 0, features[FEATURES + 6]
            step = np.flatnonzero(np.isfinite(s.y))
            f = s.f[step]
            factor = is_log & (f > 0)
            apart = s.apart[step] / np.where(factor, np.abs(f), s.unit)
            r = reach(step, s.m)
            one = np.ones(len(step))
            yearly = features[FEATURES + 8] / np.where(factor, np.abs(f) / s.unit, 1)
            yearly = relative(yearly / change) if np.isfinite(features[FEATURES + 8]) else 0 * one
            wide = features[:FEATURES][None, :] + 0 * r[:, None]
            X = np.c_[one, r, relative(apart / change), yearly, features[FEATURES + 7] * one, wide]
            X = X[:, LEFT] * X[:, RIGHT]
            weight = sets[s.set][1] * s.trust / total[s.set] / max(len(step), 1)
            parts.append((X, one * i, step, s.y[step], f, np.where(factor, f, s.unit), factor, one * change * (1 + GAP * s.gaps),
                          one * LARGEST_RANGE * max(span, 2 * change), one * weight, one * s.q, one * s.fold))
        (self.X, self.sample, self.step, self.y, self.f, self.unit, self.factor, self.change, self.most, self.w, self.q,
         self.fold) = (np.concatenate(column) for column in zip(*parts))
        self.sample = self.sample.astype(int)
        self.set = np.array([s.set for s in samples])[self.sample]
        # Ranges are judged relative to a plain one, so that no set rules by its size.
        plain = self.change * np.sqrt(self.step + 1)
        low, high = self.bound(-2 * plain), self.bound(2 * plain)
        score = (high - low + 40 * np.maximum(low - self.y, 0) + 40 * np.maximum(self.y - high, 0)) / self.q
        self.judge = np.ones(len(self.y))
        for name in set(self.set):
            here = self.set == name
            self.judge[here] = np.average(score[here], weights=self.w[here])

    def bound(self, off):
        return np.where(self.factor, self.f * grown(off), self.f + self.unit * off)

    def scale(self, row):
        return np.minimum(self.change * np.exp(np.clip(self.X @ row, -6, 6)), self.most)

    def deviations(self, row):
        ratio = np.where(self.factor, np.maximum(self.y, 0) / np.where(self.factor, self.f, 1), 1)
        off = np.where(self.factor, 2 * (np.sqrt(ratio) - 1), (self.y - self.f) / self.unit)
        return off / self.scale(row)


def learn_scale(errors, seen, products):
    """A scale by pairs of circumstances, by the interval scores at 95 and, half as much, 80 %."""
    y, f = errors.y[seen], errors.f[seen]
    unit, factor, change = errors.unit[seen], errors.factor[seen], errors.change[seen]
    weight = errors.w[seen] / errors.q[seen] / errors.judge[seen]
    # Pairs that should matter less are made smaller, not punished more: so the search goes further.
    shrunk = np.where(LEFT <= 1, 1, np.sqrt(RANGE_RIDGE / products))
    X = errors.X[seen] * shrunk
    count = X.shape[1]
    penalty = np.full(count, RANGE_RIDGE)
    penalty[0] = 0

    def cost(flat):
        row, ends = flat[:count], np.exp(flat[count:])
        scale = change * np.exp(np.clip(X @ row, -6, 6))
        total, gradient, of_ends = (penalty * row ** 2).sum(), 2 * penalty * row, np.zeros(4)
        for end, (sign, alpha, share) in enumerate(((-1, 0.05, 1), (1, 0.05, 1), (-1, 0.2, 0.5), (1, 0.2, 0.5))):
            off = sign * ends[end] * scale
            root = np.clip(1 + off / 2, 0.01, LARGEST_ROOT)
            bound = np.where(factor, f * root ** 2, f + unit * off)
            beyond = np.maximum(sign * (y - bound), 0)
            # No range should stretch to hold what is that far off.
            missed = np.where(beyond < FARTHEST * sign * (bound - f), beyond > 0, 0)
            beyond = np.minimum(beyond, FARTHEST * sign * (bound - f))
            total += (share * weight * (sign * (bound - f) + 2 / alpha * beyond)).sum()
            slope = share * weight * sign * (1 - 2 / alpha * missed) * np.where(factor, f * root, unit) * off
            gradient, of_ends[end] = gradient + slope @ X, slope.sum()
        return total, np.r_[gradient, of_ends]

    start = np.r_[np.zeros(count), np.log([2, 2, 1.3, 1.3])]
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return found.x[:count] * shrunk


def quantiles(values, weight):
    """What lies at the levels."""
    order = np.argsort(values)
    place = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    return np.interp(normal.cdf(LEVELS), place, values[order])


def learn_quantiles(errors, scale, seen):
    """Conformal: the quantiles of the deviations at each reach, over all series."""
    deviation, table = errors.deviations(scale), []
    for first, end in zip(STEPS, [*STEPS[1:], 1000]):
        here = seen & (errors.step + 1 >= first) & (errors.step + 1 < end)
        if not here.any():
            table.append(table[-1])
            continue
        row = quantiles(deviation[here], errors.w[here])
        if first == 1:
            # The next figure is looked at most: of no large set should it be outside more often than is said.
            large = [part for part in (here & (errors.set == name) for name in set(errors.set)) if part.sum() >= 400]
            rows = [row, *(quantiles(deviation[part], errors.w[part]) for part in large)]
            row[LEVELS < -1.9] = np.min(rows, 0)[LEVELS < -1.9]
            row[LEVELS > 1.9] = np.max(rows, 0)[LEVELS > 1.9]
        # The course is a median already: what lies between is mostly which way the times went.
        row[np.abs(LEVELS) < 1.5] -= CENTRED * row[LEVELS == 0]
        # The farthest ends rest on a handful of values.
        row[0], row[-1] = max(row[0], 1.5 * row[1]), min(row[-1], 1.5 * row[-2])
        table.append(np.maximum.accumulate(row))
    return np.array(table)


def learn_dependence(samples, errors, tables, draws=500, most=2500):
    """What steps share, and what walks at random, by how well sums of some quarters (or years) are foretold."""
    chance = np.random.default_rng(1)
    m = samples[0].m
    sums = sorted({m * quarter // 4 for quarter in (1, 2, 3, 4)}) if m > 1 else [2, 4, 6]
    starts = np.flatnonzero(np.r_[True, np.diff(errors.sample) > 0])
    parts = [(a, b) for a, b in zip(starts, np.r_[starts[1:], len(errors.sample)])
             if b - a == samples[errors.sample[a]].h]
    parts = [parts[i] for i in chance.permutation(len(parts))[:most]]
    steps = max(s.h for s in samples)
    common, own, walk = chance.normal(size=(draws, 1)), chance.normal(size=(draws, steps)), chance.normal(size=(draws, steps))
    common, own, walk = (np.concatenate([part, -part]) for part in (common, own, walk))
    walk = np.cumsum(walk, 1) / np.sqrt(np.arange(1, steps + 1))
    ranks = (2 * np.arange(2 * draws) + 1) / (2 * draws) - 1
    line = np.searchsorted(STEPS, np.arange(1, steps + 1), side="right") - 1
    scale = np.zeros(len(errors.y))
    for fold in range(FOLDS):
        scale = np.where(errors.fold == fold, errors.scale(tables[fold][1]), scale)
    best = (np.inf, 0.0, 0.0)
    for shared in (0.0, 0.1, 0.2, 0.3):
        for walking in np.arange(0.1, 0.96 - shared, 0.15):
            z = np.sqrt(shared) * common + np.sqrt(walking) * walk + np.sqrt(1 - shared - walking) * own
            drawn = [[np.interp(z[:, j], LEVELS, tables[fold][2][line[j]]) for j in range(steps)] for fold in range(FOLDS)]
            total = 0.0
            for a, b in parts:
                s = samples[errors.sample[a]]
                off = np.array(drawn[s.fold][:s.h]).T * scale[a:b]
                values = np.where(errors.factor[a:b], s.f * grown(off), s.f + s.unit * off)
                for count in sums:
                    if count > s.h:
                        continue
                    found, true = values[:, :count].sum(1), s.y[:count].sum()
                    crps = np.abs(found - true).mean() - (ranks * np.sort(found)).mean()
                    total += errors.w[a] / errors.q[a] / errors.judge[a] * crps / count
            best = min(best, (total, shared, walking))
    return best[1:]


HEAD = '''//! What was learned across series, by `learn/learn.py` (its header has the command): do not edit.
//!
//! Each row of a gate belongs to a member: its constant, its slopes by feature, its slope by the logarithm of the step.
//! Scales are logarithms; their coefficients belong to pairs of circumstances (see `pool`). Rows of quantiles belong to
//! `STEPS`, columns to `LEVELS`.

use super::features::FEATURES;
use super::member::MEMBERS;

/// Normal deviates at which quantiles are kept.
pub(super) const LEVELS: [f64; %d] = [%s];

/// The first step, from 1, of each row of quantiles.
pub(super) const STEPS: [usize; %d] = [%s];

/// What the scale depends on: the features and five more.
pub(super) const CIRCUMSTANCES: usize = FEATURES + 5;
pub(super) const PAIRS: usize = CIRCUMSTANCES * (CIRCUMSTANCES + 1) / 2;

/// What was learned of series of one frequency.
pub(super) struct Learned {
    pub(super) gate: [[f64; FEATURES + 2]; MEMBERS],
    pub(super) scale: [f64; PAIRS],
    pub(super) quantiles: [[f64; LEVELS.len()]; STEPS.len()],
    /// The share of a deviation that all steps have in common.
    pub(super) shared: f64,
    /// The share that walks at random.
    pub(super) walking: f64,
}

/// What every series gives to the members of the core, whatever the gate says.
pub(super) const SHARE: f64 = %s;

/// The table for series with so many periods a year, of which so many are known.
pub(super) fn of(periods: usize, length: usize) -> &'static Learned {
    let is_short = length < if periods > 1 { 2 * periods + 5 } else { 10 };
    match (periods, is_short) {
        (0 | 1, false) => &YEARLY,
        (0 | 1, true) => &SHORT_YEARLY,
        (2..=6, false) => &QUARTERLY,
        (2..=6, true) => &SHORT_QUARTERLY,
        (_, false) => &MONTHLY,
        (_, true) => &SHORT_MONTHLY,
    }
}
'''


def number(x, digits):
    text = f"{x:.{digits}f}".rstrip("0")
    # Clippy takes some numbers for constants that were written out.
    text = {"3.14": "3.139", "3.141": "3.139", "3.142": "3.143", "2.718": "2.719"}.get(text, text)
    return "0.0" if float(text) == 0 else text + "0" * text.endswith(".")


def numbers(values, digits=3):
    return ", ".join(number(x, digits) for x in values)


def write(path, tables):
    with open(path, "w") as out:
        out.write(HEAD % (len(LEVELS), numbers(LEVELS, 4), len(STEPS), ", ".join(map(str, STEPS)), SHARE))
        for group, (gate, scale, quantiles, shared, walking) in tables.items():
            out.write(f"\n#[rustfmt::skip]\nstatic {group.upper().replace('-', '_')}: Learned = Learned {{\n    gate: [\n")
            out.writelines(f"        [{numbers(row)}],\n" for row in gate)
            out.write(f"    ],\n    scale: [{numbers(scale)}],\n    quantiles: [\n")
            out.writelines(f"        [{numbers(row)}],\n" for row in quantiles)
            out.write(f"    ],\n    shared: {shared:.3f},\n    walking: {walking:.3f},\n}};\n")


def learn(group, options, gates=None):
    """The tables of a frequency: without each fold, then of all series; `gates` are those learned before."""
    sets = SETS[group]
    samples = [s for name in sets for s in load(name, options.data, options.learn, options.work)]
    samples = [s for s in samples if s.is_short == group.startswith("short")]
    all_names = [name for name in samples[0].members if name != "features"]
    names = [name for name in all_names if name not in UNUSED.get(group, ())]
    if gates is None:
        gates = [learn_gate([s for s in samples if s.fold != fold], names, sets) for fold in range(FOLDS + 1)]
    for fold in range(FOLDS):
        apply_gate(gates[fold], [s for s in samples if s.fold == fold], names, sets)
    errors = Errors(samples, sets)
    tables = []
    for fold, gate in enumerate(gates):
        seen = errors.fold != fold
        scale = learn_scale(errors, seen, PRODUCT_RIDGE[group])
        rows = learn_quantiles(errors, scale, seen)
        full = np.zeros((len(all_names), FEATURES + 2))
        full[:, 0] = -99
        for name, row in zip(names, gate):
            full[all_names.index(name)] = row
        tables.append((full, scale, rows))
    # Two numbers for all series: without a fold they would hardly differ.
    dependence = learn_dependence(samples, errors, tables)
    print(group, len(samples), "shared %.2f walking %.2f" % dependence, flush=True)
    return [(*table, *dependence) for table in tables]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of the series")
    parser.add_argument("--learn", help="the built program")
    parser.add_argument("--work", default="/tmp/learn", help="folder for what is kept in between")
    parser.add_argument("--fold", type=int, default=FOLDS, help="write the table that has not seen this fold")
    parser.add_argument("--table", default=os.path.join(os.path.dirname(__file__), "../src/model/learned.rs"))
    parser.add_argument("--only", choices=SETS, help="learn one frequency anew, the others as kept")
    parser.add_argument("--ranges", action="store_true", help="keep the weights, learn only how wide the ranges are")
    parser.add_argument("--kept", action="store_true", help="learn nothing, write from what is kept")
    parser.add_argument("--list-fold", type=int, help="print the series of a fold and exit")
    options = parser.parse_args()
    if options.list_fold is not None:
        for name in (*MONTHLY, *QUARTERLY, *YEARLY):
            train = os.path.join(options.data, name + "_train.csv.gz")
            print("\n".join(row["series_id"] for row in rows(train) if fold_of(row["series_id"]) == options.list_fold))
        return
    os.makedirs(options.work, exist_ok=True)
    kept = {group: os.path.join(options.work, group + ".pickle") for group in SETS}
    for group in SETS:
        if not options.kept and options.only in (None, group):
            gates = None
            if options.ranges:
                with open(kept[group], "rb") as file:
                    gates = [table[0][table[0][:, 0] > -99] for table in pickle.load(file)]
            learned = learn(group, options, gates)
            with open(kept[group], "wb") as file:
                pickle.dump(learned, file)
    tables = {}
    if not all(os.path.exists(path) for path in kept.values()):
        return
    for group in SETS:
        with open(kept[group], "rb") as file:
            tables[group] = pickle.load(file)[options.fold]
    write(options.table, tables)


if __name__ == "__main__":
    main()
