"""Reading headers: CPU seconds of `gantry dump` against dcmdump over the same files."""
import os
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

import gantry

ROUNDS = int(os.environ.get("ROUNDS", "5"))


def cpu_of(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        gantry.run(gantry.GANTRY, "synth", "--out", folder, "--kind", "chest-ct", "--slices", "100", "--size", "128")
        files = sorted(str(p) for p in Path(folder).rglob("*.dcm")) * 5
        dump, parse, theirs = [], [], []
        for _ in range(ROUNDS):
            dump.append(cpu_of([gantry.GANTRY, "dump", *files]))
            parse.append(cpu_of([str(Path(gantry.LOAD).parent / "bench_parse"), *files]))
            theirs.append(cpu_of(["dcmdump", "-M", *files]))
        a, p, b = statistics.median(dump), statistics.median(parse), statistics.median(theirs)
        n = len(files)
        print(f"\nHeaders of {n} files, CPU us a file: parse {1e6 * p / n:.0f}, gantry dump {1e6 * a / n:.0f}, dcmdump {1e6 * b / n:.0f}: {b / p:.0f} x parsed, {b / a:.0f} x printed")
