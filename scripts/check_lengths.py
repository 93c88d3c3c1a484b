#!/usr/bin/env python3
"""Function and file lengths: reports median and p90; fails on a function over 100 lines or a file over 1,000 (generated ones apart)."""
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUNCTION_MAX, FILE_MAX = 100, 1000


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main():
    files = sorted(str(p) for p in (ROOT / "src").rglob("*") if p.suffix in (".c", ".h", ".cpp"))
    out = subprocess.run(["ctags", "--output-format=json", "--fields=+ne", "--c-kinds=f", "--c++-kinds=f", "-L", "-", "-f", "-"], input="\n".join(files),
                         capture_output=True, text=True, check=True).stdout
    lengths, faults = [], []
    for line in out.splitlines():
        tag = json.loads(line)
        if "end" not in tag:
            continue
        n = tag["end"] - tag["line"] + 1
        lengths.append(n)
        if n > FUNCTION_MAX:
            faults.append(f"{Path(tag['path']).relative_to(ROOT)}:{tag['line']}: {tag['name']} is {n} lines long")
    sizes = {f: sum(1 for _ in open(f, encoding="utf-8")) for f in files}
    faults += [f"{Path(f).relative_to(ROOT)}: {n} lines" for f, n in sizes.items() if n > FILE_MAX]
    print(f"functions: {len(lengths)}, median {statistics.median(lengths):.0f}, p90 {percentile(lengths, 0.9)}, longest {max(lengths)}; "
          f"files: {len(files)}, median {statistics.median(sizes.values()):.0f}, longest {max(sizes.values())}")
    print("\n".join(faults))
    return 1 if faults else 0


sys.exit(main())
