"""ROC analysis against pROC: 1,000 random data sets with ties, areas, variances, covariances, paired and unpaired tests, partial areas and best thresholds equal to 1e-10."""
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SETS = 1000
TOLERANCE = 1e-10
FIELDS = "dataset,statistic,parameters,value,abs_tolerance,source"

# One line of the table for each statistic of each data set, as `gantry evidence verify` reads it.
SCRIPT = r'''
suppressMessages(library(pROC))
arguments <- commandArgs(TRUE)
folder <- arguments[1]
out <- file(file.path(folder, "expected.csv"), "w")
writeLines("dataset,statistic,parameters,value,abs_tolerance,source", out)
for (file in list.files(folder, pattern = "^set.*csv$")) {
  d <- read.csv(file.path(folder, file))
  row <- function(statistic, parameters, value) {
    if (length(value) != 1 || is.nan(value) || is.na(value)) value <- "NaN" else value <- sprintf("%.17g", value)
    writeLines(paste0(file, ",", statistic, ",\"", parameters, "\",", value, ",@TOLERANCE@,pROC"), out)
  }
  a <- roc(d$truth, d$a, levels = c(0, 1), direction = "<", quiet = TRUE)
  b <- roc(d$truth, d$b, levels = c(0, 1), direction = "<", quiet = TRUE)
  up <- ";higher=positive"
  row("auc", paste0("predictor=a", up), as.numeric(auc(a)))
  row("auc", paste0("predictor=b", up), as.numeric(auc(b)))
  row("delong_var", paste0("predictor=a", up), var(a, method = "delong"))
  row("delong_cov", paste0("pair=a,b", up), cov(a, b, method = "delong"))
  interval <- suppressWarnings(ci(a, method = "delong"))
  row("delong_ci95_lo", paste0("predictor=a", up), interval[1])
  row("delong_ci95_hi", paste0("predictor=a", up), interval[3])
  paired <- suppressWarnings(roc.test(a, b, paired = TRUE, method = "delong"))
  row("delong_paired_Z", paste0("pair=a,b", up), unname(paired$statistic))
  row("delong_paired_p", paste0("pair=a,b", up), paired$p.value)
  unpaired <- suppressWarnings(roc.test(a, b, paired = FALSE, method = "delong"))
  row("delong_unpaired_D", paste0("pair=a,b", up), unname(unpaired$statistic))
  row("delong_unpaired_p", paste0("pair=a,b", up), unpaired$p.value)
  for (focus in c("specificity", "sensitivity")) {
    range <- sort(round(c(d$from[1], d$to[1]), 3))
    name <- paste0("predictor=b;focus=", substr(focus, 1, 2), ";range=", range[1], "-", range[2], up)
    row("partial_auc", name, as.numeric(auc(b, partial.auc = range, partial.auc.focus = focus)))
    corrected <- suppressWarnings(as.numeric(auc(b, partial.auc = range, partial.auc.focus = focus, partial.auc.correct = TRUE)))
    chance <- diff(range) * (2 - sum(range)) / 2 # on the diagonal its rounding decides between 0.5 and no number
    if (abs(as.numeric(auc(b, partial.auc = range, partial.auc.focus = focus)) - chance) < 1e-14) corrected <- 0.5
    row("partial_auc_mcclish_corrected", name, corrected)
  }
  best <- coords(a, "best", ret = c("youden", "sensitivity"), transpose = FALSE)
  row("youden_best", paste0("predictor=a;youden", up), best$youden[1])
}
close(out)
'''


def number(rng, levels):
    """Few levels: many ties."""
    return rng.randrange(levels) if levels else rng.gauss(0, 1)


def write_set(rng, path):
    n, levels = rng.randint(8, 120), rng.choice([2, 3, 5, 10, 40, 0])
    strength, common = rng.choice([0, 0.5, 1, 2]), rng.random()
    rows = ["truth,a,b,from,to"]
    low = rng.uniform(0, 0.9)
    for i in range(n):
        truth = i % 2 if i < 6 else rng.randrange(2)
        shared = number(rng, levels) * common
        a, b = (shared + number(rng, levels) + truth * strength * rng.random() * (levels or 1) / 2 for _ in range(2))
        if levels:
            a, b = round(a), round(b)
        rows.append(f"{truth},{a!r},{b!r},{low:.3f},{rng.uniform(low + 0.05, 1):.3f}")
    path.write_text("\n".join(rows) + "\n")


def main():
    if not shutil.which("Rscript"):
        print("SKIP: no Rscript (Debian r-cran-proc)")
        return 77
    if subprocess.run(["Rscript", "-e", "library(pROC)"], capture_output=True).returncode:
        print("SKIP: R has no pROC (Debian r-cran-proc)")
        return 77
    seed = int(os.environ.get("SEED", "20140612"))
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(SETS):
            write_set(rng, folder / f"set{i:04}.csv")
        (folder / "peer.R").write_text(SCRIPT.replace("@TOLERANCE@", str(TOLERANCE)))
        subprocess.run(["Rscript", "--vanilla", str(folder / "peer.R"), str(folder)], check=True, stderr=subprocess.DEVNULL)
        table = folder / "expected.csv"
        rows = len(table.read_text().splitlines()) - 1
        done = subprocess.run([os.environ["GANTRY"], "evidence", "verify", "--table", str(table), "--data", str(folder)], capture_output=True, text=True)
        if done.returncode:
            print("\n".join(line for line in done.stdout.splitlines() if "FAIL" in line.upper())[:4000], done.stderr, f"seed {seed}", sep="\n")
            return 1
    print(f"{SETS} data sets, {rows} values equal to pROC's within {TOLERANCE:g}")
    return 0 if rows == SETS * 15 else 1


sys.exit(main())
