"""Rendered CT images over DICOMweb: pictures per CPU second of the server, beside Orthanc's."""
import itertools
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import gantry
import peers

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SLICES = 40
FRESH = itertools.count()  # every picture is asked for anew: none comes from a cache
REPEATS = 20  # the processes' clocks tick every 10 ms


def paths_of(get_json, root):
    instances = get_json(f"{root}/instances?limit=1000")
    value = lambda i, tag: i[tag]["Value"][0]
    return [f"{root}/studies/{value(i, '0020000D')}/series/{value(i, '0020000E')}/instances/{value(i, '00080018')}/rendered" for i in instances]


def round_of(server, paths):
    before = server.cpu_s()
    for path in paths * REPEATS:
        status, *_, body = server.http("GET", f"{path}?fresh={next(FRESH)}", headers={"Accept": "image/jpeg"})
        assert status == 200 and body[:2] == b"\xff\xd8", (status, body[:200])
    return REPEATS * len(paths) / (server.cpu_s() - before)


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        files = gantry.DATA / "dicom" / "oncoray__mirp" / "ct_crlm_1004"
        if not files.exists():
            files = Path(folder) / "ct"
            gantry.run(gantry.GANTRY, "synth", "--out", files, "--kind", "chest-ct", "--slices", str(SLICES), "--size", "512")
        all_files = sorted(p for p in files.rglob("*") if p.is_file() and p.suffix == ".dcm")[:SLICES]
        subprocess.run([gantry.GANTRY, "import", "--data", Path(folder) / "data", *all_files], check=True, stdout=subprocess.DEVNULL)
        (Path(folder) / "orthanc").mkdir()
        with gantry.Server(Path(folder) / "data") as ours, peers.Orthanc(Path(folder) / "orthanc", tuned=True) as theirs:
            for p in all_files:
                theirs.http("POST", "/instances", p.read_bytes())
            our_paths = paths_of(ours.get_json, "/dicom-web")
            their_paths = paths_of(lambda path: theirs.rest(path), "/dicom-web")
            a, b = [], []
            for _ in range(ROUNDS):
                a.append(round_of(ours, our_paths))
                b.append(round_of(theirs, their_paths))
            a, b = statistics.median(a), statistics.median(b)
            print(f"\nRendered CT of 512 x 512 as JPEG, pictures per CPU second: {a:.0f}, Orthanc {b:.0f}: {a / b:.1f} x")
