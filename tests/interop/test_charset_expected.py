#!/usr/bin/env python3
"""Names in every character set, and names under a wrong label, come out as the reference says (charset_*_synthetic/expected.json)."""
import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def name_of(path):
    done = subprocess.run([gantry.GANTRY, "json", "--repair", str(path)], capture_output=True, timeout=60)
    assert done.returncode == 0, f"{path}: {done.stderr.decode()}"
    data = json.loads(done.stdout)
    value = (data[0] if isinstance(data, list) else data)["00100010"]["Value"][0]
    groups = [value.get(g, "") for g in GROUPS]
    return "=".join(groups).rstrip("=")


def main():
    checked = 0
    for kind in "chinese", "other":
        folder = gantry.need_data("dicom", f"charset_{kind}_synthetic")
        for row in json.loads((folder / "expected.json").read_text(encoding="utf-8")):
            got = name_of(folder / row["file"])
            assert got == row["patient_name_utf8"], f"{row['file']}: {got} instead of {row['patient_name_utf8']}"
            checked += 1
    print(f"{checked} names")
    assert checked > 50


main()
