"""Statistics against their peers: DeLong's test by pROC on the same million cases, a whole reader study, surfaces of two masks, a queue's events."""
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROUNDS = int(os.environ.get("ROUNDS", "5"))
CASES = int(os.environ.get("CASES", "1000000"))
PATIENTS = int(os.environ.get("PATIENTS", "3000000"))
ROOT = Path(__file__).resolve().parent.parent.parent
STUDY = ROOT / ".." / "shared" / "data" / "stats" / "vandyke.csv"
GANTRY = os.environ["GANTRY"]
BENCH = Path(GANTRY).parent / "tests" / "bench" / "bench_evidence"

# What counts is the test: the curve and the area are made by pROC before its clock starts, where that helps it.
PROC = """
suppressMessages(library(pROC))
a <- commandArgs(TRUE); n <- as.integer(a[2])
x <- readBin(a[1], "double", 3 * n)
truth <- x[1:n]; one <- x[(n + 1):(2 * n)]; two <- x[(2 * n + 1):(3 * n)]
for (i in 1:as.integer(a[3])) {
    whole <- system.time({
        r1 <- roc(truth, one, levels = c(0, 1), direction = "<", quiet = TRUE)
        r2 <- roc(truth, two, levels = c(0, 1), direction = "<", quiet = TRUE)
        made <- proc.time()[["elapsed"]]
        t <- roc.test(r1, r2, method = "delong", paired = TRUE)
        test <- proc.time()[["elapsed"]] - made
    })[["elapsed"]]
    cat(sprintf("%.6f %.6f %.17g %.17g %.17g\\n", whole, test, t$estimate[1], t$estimate[2], t$statistic))
}
"""


def numbers(*command):
    out = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE).stdout
    return [[float(v) for v in line.split()] for line in out.splitlines()]


def show(what, got, unit, bar, good):
    print(f"{what:<58} {got:12.3f} {unit:<9}{'' if good else f'   (bar: {bar})'}", flush=True)


def delong(folder):
    scores = folder / "scores"
    ours = [numbers(BENCH, "delong", CASES, scores)[0] for _ in range(ROUNDS)]
    seconds = statistics.median(o[0] for o in ours)
    show(f"DeLong, two tests on {CASES} cases", seconds, "s", "0.5 s", seconds < 0.5)
    if not shutil.which("Rscript"):
        print("    no Rscript: install r-cran-proc for the comparison")
        return
    theirs = numbers("Rscript", "-e", PROC, scores, CASES, min(ROUNDS, 3))
    for i in range(3):
        assert abs(ours[0][1 + i] - theirs[0][2 + i]) < 1e-8 * abs(theirs[0][2 + i]), f"pROC has other numbers: {ours[0]} {theirs[0]}"
    whole, test = (statistics.median(t[i] for t in theirs) for i in range(2))
    show("    pROC, from the scores, as ours", whole, "s", "", True)
    show("    pROC, the test alone, its curves being made", test, "s", "", True)
    show("    ours is faster", whole / seconds, "x", "20 x", whole / seconds >= 20)


def reader_study(folder):
    study, name = STUDY, "VanDyke's study"
    if not study.exists():  # one of its size
        study, name = folder / "study.csv", "a study of VanDyke's size"
        subprocess.run([GANTRY, "evidence", "simulate", "readers", "--readers", "5", "--normals", "69", "--diseased", "45", "--categories", "5", "--out", study],
                       check=True, stdout=subprocess.DEVNULL)
    times = [1000 * t[0] for t in numbers(BENCH, "mrmc", study, 200)]
    ms = statistics.median(times)
    show(f"{name}, text to report (OR, DBM, U-statistics)", ms, "ms", "5 ms", ms < 5)
    walls = []
    for _ in range(20):
        start = time.perf_counter()
        subprocess.run([GANTRY, "evidence", "mrmc", "--method", "all", study], check=True, stdout=subprocess.DEVNULL)
        walls.append(1000 * (time.perf_counter() - start))
    show("    the command, with its process", statistics.median(walls), "ms", "", True)


def surfaces():
    rounds = [numbers(BENCH, "surface") for _ in range(ROUNDS)]
    for i, name in enumerate(("surface elements", "voxel borders")):
        s = statistics.median(r[i][0] for r in rounds)
        show(f"Surface distances of two masks of 256^3, {name}", s, "s", "1 s", s < 1)


def queue():
    rates = [events / seconds / 1e6 for _ in range(ROUNDS) for seconds, events in numbers(BENCH, "queue", PATIENTS)]
    rate = statistics.median(rates)
    show("Queue with and without triage", rate, "M events/s", "10 M events/s", rate >= 10)


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        print(f"\nStatistics, median of {ROUNDS}\n")
        delong(Path(name))
        reader_study(Path(name))
        surfaces()
        queue()
