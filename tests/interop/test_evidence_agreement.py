#!/usr/bin/env python3
"""Agreement, calibration and monitoring: what `gantry evidence agree`, `calib` and `drift` say of random data is what numpy computes from the definitions, in any shape of
input; what cannot be computed is refused with its line; nothing stays English in Chinese.

Definitions are walked pair by pair here, without the closed forms that the product uses."""
import itertools
import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

STUDIES = 8
FOLDER = None


def call(*arguments, text=None):
    return subprocess.run([gantry.GANTRY, "evidence", *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60)


def run(*arguments, text=None):
    done = call(*arguments, "--json", text=text)
    assert done.returncode == 0, done.stderr
    answer = {}
    for entry in json.loads(done.stdout)["entries"]:
        answer.setdefault((entry.get("group") or "", entry["name"]), entry)
    return answer


def table(names, rows):
    text = lambda v: "" if v is None or (isinstance(v, float) and math.isnan(v)) else repr(v) if isinstance(v, float) else str(v)
    return ",".join(names) + "\n" + "".join(",".join(text(v) for v in row) + "\n" for row in rows)


def near(entry, expected, tolerance=1e-9):
    value = entry["value"] if isinstance(entry, dict) else entry
    assert abs(value - expected) <= tolerance * max(1, abs(expected)), (entry, expected)


def weights(kind, scores):
    d = np.abs(np.subtract.outer(scores, scores))
    return {"unweighted": np.eye(len(scores)), "linear": 1 - d / d.max(), "quadratic": 1 - d ** 2 / d.max() ** 2}[kind]


def kappas(random):
    """Many raters with holes: pairs of ratings of a subject; chance from shares."""
    for kind in itertools.islice(itertools.cycle(["unweighted", "linear", "quadratic"]), STUDIES):
        scores = np.array([1.0, 2, 4, 5])
        x = random.choice(len(scores), size=(25, 4), p=[.4, .3, .2, .1])
        x[:, 1:][random.random((25, 3)) < .5] = x[:, :1].repeat(3, 1)[random.random((25, 3)) < .5][0]
        holes = random.random(x.shape) < .15
        holes[holes.sum(1) > 2] = False
        w = weights(kind, scores)
        pa, share = [], np.zeros(len(scores))
        for subject, hole in zip(x, holes):
            rated = subject[~hole]
            pa.append(np.mean([w[a, b] for a, b in itertools.permutations(rated, 2)]))
            share += np.bincount(rated, minlength=len(scores)) / len(rated)
        share /= len(x)
        pa = np.mean(pa)
        rows = [["s%d" % i] + [None if h else int(scores[v]) for v, h in zip(subject, hole)] for i, (subject, hole) in enumerate(zip(x, holes))]
        got = run("agree", "--method", "kappa", "--weights", kind, "-", text=table(["subject", "a", "b", "c", "d"], rows))
        near(got["", "Observed agreement"], pa)
        pe = share @ w @ share
        near(got["", "Fleiss' kappa"], (pa - pe) / (1 - pe))
        pe = w.sum() * (share * (1 - share)).sum() / (len(scores) * (len(scores) - 1))
        near(got["", "Gwet's AC1" if kind == "unweighted" else "Gwet's AC2"], (pa - pe) / (1 - pe))
        near(got["", "Brennan-Prediger"], (pa - w.mean()) / (1 - w.mean()))


def alphas(random):
    """Krippendorff: observed over expected disagreement of pairable values."""
    for level in ["nominal", "ordinal", "interval", "ratio"] * 2:
        values = [[int(v) if random.random() > .2 else None for v in row] for row in random.integers(1, 6, size=(15, 3)) // random.integers(1, 3, size=(15, 1))]
        units = [[v for v in row if v is not None] for row in values]
        units = [u for u in units if len(u) > 1]
        pool = [v for u in units for v in u]
        count = {v: pool.count(v) for v in pool}
        delta = {"nominal": lambda a, b: float(a != b), "interval": lambda a, b: (a - b) ** 2, "ratio": lambda a, b: 0 if a == b else ((a - b) / (a + b)) ** 2,
                 "ordinal": lambda a, b: (sum(count.get(g, 0) for g in range(min(a, b), max(a, b) + 1)) - (count[a] + count[b]) / 2) ** 2 if a != b else 0}[level]
        observed = sum(sum(delta(a, b) for a, b in itertools.permutations(u, 2)) / (len(u) - 1) for u in units) / len(pool)
        expected = sum(delta(a, b) for a, b in itertools.permutations(pool, 2)) / len(pool) / (len(pool) - 1)
        got = run("agree", "--method", "kappa", "--measured", level, "-", text=table(["a", "b", "c"], values))
        near(got["", "Krippendorff's alpha, " + level], 1 - observed / expected)


def measurements(random):
    for _ in range(STUDIES):
        n = int(random.integers(5, 40))
        x = random.normal(10, 3, n)
        y = x + random.normal(.5, 1, n)
        text = table(["id", "old", "new"], [(i, float(a), float(b)) for i, (a, b) in enumerate(zip(x, y))] + [(n, 3.5, None)])
        got = run("agree", "-", text=text)
        d = x - y
        group = "old - new"
        near(got[group, "Bias"], d.mean())
        near(got[group, "SD of differences"], d.std(ddof=1))
        near(got[group, "Upper limit of agreement"], d.mean() + 1.96 * d.std(ddof=1))
        got = run("agree", "--method", "ccc", "-", text=text)
        near(got["old, new", "Lin's concordance correlation"], 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + d.mean() ** 2))
        got = run("agree", "--method", "repeatability", "-", text=text)
        near(got["", "Within-subject SD"], math.sqrt((d ** 2).mean() / 2))
        got = run("agree", "--method", "icc", "-", text=text)
        both = np.stack([x, y], 1)
        msr = 2 * both.mean(1).var(ddof=1)
        near(got["ICC(1,1)", "ICC"], (msr - (d ** 2).mean() / 2) / (msr + (d ** 2).mean() / 2))
        # JSON in gives the same.
        rows = [{"id": i, "old": float(a), "new": float(b)} for i, (a, b) in enumerate(zip(x, y))]
        near(run("agree", "--method", "ccc", "-", text=json.dumps(rows))["old, new", "Lin's concordance correlation"],
             2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + d.mean() ** 2))


def calibration(random):
    for bins in range(3, 3 + STUDIES):
        n = 200
        p = random.random(n).round(3)
        y = (random.random(n) < p ** 1.5).astype(int)
        got = run("calib", "--bins", bins, "-", text=table(["risk", "event"], [(float(a), int(b)) for a, b in zip(p, y)]))
        near(got["", "Brier score"], ((p - y) ** 2).mean())
        inside = p.clip(1e-300, 1 - 1e-16)
        if ((p > 0) & (p < 1)).all():
            near(got["", "Log loss"], -np.log(np.where(y == 1, inside, 1 - inside)).mean())
        gaps = []
        for k in range(bins):
            m = ((p > k / bins) | (k == 0)) & (p <= (k + 1) / bins)
            if m.any():
                gaps.append((m.mean(), abs(p[m].mean() - y[m].mean())))
        near(got["", "Expected calibration error"], sum(a * b for a, b in gaps))
        near(got["", "Maximum calibration error"], max(b for _, b in gaps))


def exact_ks(x, y):
    """The share of all divisions of the pooled values that are as far apart."""
    pool, n = np.concatenate([x, y]), len(x)
    grid = np.unique(pool)
    gap = lambda chosen: max(abs(np.mean(pool[chosen] <= g) - np.mean(pool[[i for i in range(len(pool)) if i not in chosen]] <= g)) for g in grid)
    d = gap(list(range(n)))
    ways = [gap(list(c)) for c in itertools.combinations(range(len(pool)), n)]
    return d, np.mean([w >= d - 1e-9 for w in ways])


def changes(random):
    for _ in range(STUDIES):
        x, y = random.integers(0, 6, 4), random.integers(1, 8, 5)
        d, p = exact_ks(x, y)
        rows = [("before", int(v)) for v in x] + [("after", int(v)) for v in y]
        got = run("drift", "--group", "phase", "--value", "v", "-", text=table(["phase", "v"], rows))
        near(got["", "Kolmogorov-Smirnov D"], d)
        near(got["", "p-value"], p)
    for _ in range(STUDIES):
        x = random.normal(5, 2, 60)
        hi = lo = first = 0
        for i, v in enumerate(x, 1):
            hi, lo = max(0, hi + v - 5 - 1), max(0, lo + 5 - 1 - v)
            first = first or (i if max(hi, lo) > 6 else 0)
        got = run("drift", "--target", 5, "--sd", 2, "--k", .5, "--h", 3, "-", text=table(["t", "x"], list(enumerate(map(float, x)))))
        signal = got["", "First signal at point"]
        assert signal.get("value") == (first or None), (signal, first)


def refusals():
    for arguments, text, words in [
        (["agree", "--method", "icc"], "a,b\n1,2\n3,x\n", "line 3"),
        (["agree", "--method", "icc"], "a,b\n2,2\n2,2\n", "no variance"),
        (["agree", "--method", "kappa"], "a\n1\n", "2 to"),
        (["agree", "--method", "tost"], "a,b\n1,2\n3,5\n", "--margin"),
        (["agree", "--columns", "a,z"], "a,b\n1,2\n", "z"),
        (["calib"], "y,p\n0,.2\n1,1.2\n", "line 3"),
        (["calib"], "y,p\n0,.2\n2,.5\n", "line 3"),
        (["drift"], "x\n1\n2\n", "--target"),
        (["drift", "--baseline", "3"], "x\n1\n1\n1\n4\n", "do not vary"),
        (["drift", "--group", "g"], "g,x\na,1\nb,2\nc,3\n", "3 values"),
    ]:
        done = call(*arguments, "-", text=text)
        assert done.returncode != 0 and words in done.stderr, (arguments, done)


def chinese(random):
    x = random.normal(10, 2, 40).round(2)
    pairs = table(["old", "new"], [(float(a), float(a + 1)) for a in x[:-1]] + [(1.0, 9.0)])
    words = table(["甲", "乙"], [("良性", "良性"), ("恶性", "恶性"), ("良性", "恶性")] * 4)
    risks = table(["event", "risk"], [(int(i % 3 == 0), .05 + .02 * i) for i in range(40)])
    for arguments, text in [(["agree"], pairs), (["agree", "--method", "icc"], pairs), (["agree", "--method", "ccc"], pairs), (["agree", "--method", "repeatability"], pairs),
                            (["agree", "--method", "tost", "--margin", "2"], pairs), (["agree"], words), (["calib"], risks),
                            (["drift", "--baseline", "20", "--value", "old"], pairs), (["drift", "--method", "ewma", "--baseline", "20", "--value", "old"], pairs),
                            (["drift", "--method", "compare", "--baseline", "20", "--value", "old"], pairs), (["drift", "--method", "design"], None),
                            (["drift", "--method", "sequential", "--z", "1,2", "--drift", "3"], None)]:
        figure = Path(FOLDER) / "figure.svg"
        done = call(*arguments, *(["-"] if text else []), "--lang", "zh-CN", "--plot", figure, text=text)
        assert done.returncode == 0, (arguments, done.stderr)
        for line in done.stdout.splitlines():
            name = re.split(r"\s{2,}", line.strip())[0]
            plain = re.fullmatch(r"[-A-Za-z' ]{5,}", name)
            allowed = {"EWMA", "old - new", "ANOVA", "old, new"}
            known = name in allowed or re.search(r"kappa|Krippendorff|Kolmogorov|Scott|Gwet|Spiegelhalter", name)
            assert not plain or known, (arguments, line)
        assert figure.read_text().startswith("<?xml"), arguments


def main():
    global FOLDER
    random = np.random.default_rng(20240611)
    with tempfile.TemporaryDirectory() as FOLDER:
        kappas(random)
        alphas(random)
        measurements(random)
        calibration(random)
        changes(random)
        refusals()
        chinese(random)


if __name__ == "__main__":
    main()
