#!/usr/bin/env python3
"""Reader studies: what `gantry evidence mrmc` and `froc` say of random studies, with ties and holes, is what numpy computes from the definitions.

The definitions are walked case by case and pair by pair here, without the closed forms that the product uses."""
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

STUDIES = 12


def psi(f, t):
    return np.where(np.isnan(f) | np.isnan(t), np.nan, (t > f) + 0.5 * (t == f))


def area(x, truth):
    return np.nanmean(psi(x[truth == 0][:, None], x[truth == 1][None, :]))


def left_out(theta, cases):
    """Jackknife covariance of theta(kept cases), a vector."""
    v = np.array([theta([c for c in range(cases) if c != k]) for k in range(cases)])
    d = v - v.mean(0)
    return (cases - 1) / cases * d.T @ d


def rockette(theta, cov, t, r):
    """F, its denominator's degrees of freedom and the error variance of random readers and cases (Hillis 2007)."""
    th, c = theta.reshape(t, r), cov.reshape(t, r, t, r)
    mean = lambda same_t, same_r: np.mean([c[i, j, k, l] for i, j, k, l in itertools.product(range(t), range(r), range(t), range(r))
                                           if (i == k) == same_t and (j == l) == same_r])
    cov2, cov3 = mean(True, False), mean(False, False)
    ms_t = r * th.mean(1).var(ddof=1)
    ms_tr = ((th - th.mean(1, keepdims=True) - th.mean(0) + th.mean()) ** 2).sum() / ((t - 1) * (r - 1))
    d = ms_tr + r * max(cov2 - cov3, 0)
    return {"MS(T)": ms_t, "MS(T*R)": ms_tr, "Var(Error)": mean(True, True), "Cov1": mean(False, True), "Cov2": cov2, "Cov3": cov3,
            "F": ms_t / d, "df2": d * d / (ms_tr ** 2 / ((t - 1) * (r - 1)))}


def ustat(a, b):
    """Areas pooled over readers and their covariance without bias: the product less its mean over readings that share no reader and no case."""
    total = [sum(np.nansum(s) for s in x) / sum((~np.isnan(s)).sum() for s in x) for x in (a, b)]
    hits = count = 0
    for j, l in itertools.product(range(len(a)), range(len(b))):
        if j == l:
            continue
        for n, d in zip(*np.nonzero(~np.isnan(a[j]))):
            rest = np.delete(np.delete(b[l], n, 0), d, 1)
            hits += a[j][n, d] * np.nansum(rest)
            count += (~np.isnan(rest)).sum()
    return total, total[0] * total[1] - hits / count


def run(*arguments):
    done = subprocess.run([gantry.GANTRY, "evidence", *map(str, arguments), "--json"], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    answer = {}
    for entry in json.loads(done.stdout)["entries"]:
        answer.setdefault((entry.get("group") or "", entry["name"]), entry)
    return answer


def same(ours, wanted, what, tolerance=1e-9):
    assert ours is not None and abs(ours - wanted) <= tolerance * max(1, abs(wanted)), f"{what}: {ours} instead of {wanted}"


def random_scores(rng, holes):
    t, r = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    truth = rng.permutation([0] * int(rng.integers(4, 9)) + [1] * int(rng.integers(4, 9)))
    while True:
        x = np.round(rng.normal(size=(t, r, len(truth))) + truth, int(rng.integers(0, 2))) + 0.0
        x[rng.random(x.shape) < holes] = np.nan
        if all((~np.isnan(x[i, j, truth == c])).sum() > 1 for i in range(t) for j in range(r) for c in (0, 1)):
            return x, truth


def check_mrmc(rng, folder, holes):
    x, truth = random_scores(rng, holes)
    read = ~np.isnan(x).all((0, 1))
    x, truth = x[:, :, read], truth[read]
    t, r, k = x.shape
    file = folder / "study.csv"
    rows = [f"{j},{i},{c},{truth[c]},{float(x[i, j, c])!r}" for i, j, c in zip(*np.nonzero(~np.isnan(x)))]
    file.write_text("reader,treatment,case,truth,rating\n" + "\n".join(rng.permutation(rows)) + "\n")
    ours = run("mrmc", file, "--design", "crossed")
    areas = lambda kept: np.array([area(x[i, j, kept], truth[kept]) for i in range(t) for j in range(r)])
    for name, wanted in rockette(areas(range(k)), left_out(areas, k), t, r).items():
        same(ours["RRRC" if name in ("F", "df2") else "ANOVA", name]["value"], wanted, name, 1e-7)
    s = [[psi(x[i, j, truth == 0][:, None], x[i, j, truth == 1][None, :]) for j in range(r)] for i in range(t)]
    single = [ustat(s[i], s[i]) for i in range(t)]
    for i in range(t):
        same(ours[f"U: {i}", "AUC"]["value"], single[i][0][0], "pooled area")
        same(ours[f"U: {i}", "Variance"]["value"], single[i][1], "variance of it")
    for i, q in itertools.combinations(range(t), 2):
        same(ours[f"U: {i} - {q}", "Variance"]["value"], single[i][1] + single[q][1] - 2 * ustat(s[i], s[q])[1], "variance of a difference")


def check_froc(rng, folder):
    t, r = 2, int(rng.integers(2, 4))
    lesions = rng.permutation([0] * 5 + [int(n) for n in rng.integers(1, 4, 6)])
    marks, nl, ll = [], {}, {}
    for i, j, c in itertools.product(range(t), range(r), range(len(lesions))):
        nl[i, j, c] = [float(v) for v in rng.integers(1, 6, rng.poisson(0.8))]
        ll[i, j, c] = [float(rng.integers(2, 8)) if rng.random() < 0.7 else -np.inf for _ in range(lesions[c])]
        marks += [f"{'AB'[i]},{j},{c},NL,0,{v}" for v in nl[i, j, c]]
        marks += [f"{'AB'[i]},{j},{c},LL,{n + 1},{v}" for n, v in enumerate(ll[i, j, c]) if v > 0]
    (folder / "marks.csv").write_text("mod,rdr,case,kind,lesion,rating\n" + "\n".join(marks) + "\n")
    (folder / "truth.csv").write_text("case,n_lesions,weights\n" + "".join(f"{c},{n},\n" for c, n in enumerate(lesions)))

    def merit(i, j, kept):
        normal, sick = [c for c in kept if not lesions[c]], [c for c in kept if lesions[c]]
        return np.mean([np.mean([np.mean([psi(max(nl[i, j, f], default=-np.inf), v) for v in ll[i, j, c]]) for f in normal]) for c in sick])

    merits = lambda kept: np.array([merit(i, j, kept) for i in range(t) for j in range(r)])
    ours = run("froc", folder / "marks.csv", folder / "truth.csv")
    theta = merits(range(len(lesions)))
    for i, j in itertools.product(range(t), range(r)):
        same(ours[f"{'AB'[i]} / {j}", "Figure of merit"]["value"], theta[i * r + j], "wAFROC")
    for name, wanted in rockette(theta, left_out(merits, len(lesions)), t, r).items():
        same(ours["RRRC" if name in ("F", "df2") else "ANOVA", name]["value"], wanted, name, 1e-7)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(STUDIES):
            rng = np.random.default_rng(seed)
            check_mrmc(rng, Path(folder), 0.25 * (seed % 2))
            check_froc(rng, Path(folder))
    print(f"{2 * STUDIES} random studies")


main()
