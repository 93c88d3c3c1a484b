"""C-STORE: objects per second and CPU seconds per GB against the peers, interleaved; and against what the disk itself does in the same run."""
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import gantry
import peers

ROUNDS = int(os.environ.get("ROUNDS", "5"))
# associations, pixel bytes, objects per association of one round
CASES = [(1, 526 * 1024, 60), (4, 526 * 1024, 25), (1, 10 * 1024, 300), (16, 10 * 1024, 60)]


class Contender:
    def __init__(self, name, server):
        self.name, self.server = name, server
        self.rates, self.cpu = {}, {}


def load(server, case, seed):
    associations, pixels, objects = case
    out = subprocess.run([gantry.LOAD, "127.0.0.1", str(server.dicom_port), server.aet, str(associations), str(objects), str(pixels), str(seed)], capture_output=True, text=True, check=False).stdout
    result = json.loads(out)
    assert result["failed"] == 0, f"{result['failed']} objects failed"
    return result["objects_per_s"], associations * objects * pixels / 1e9


def disk_rate(folder, case):
    """A loop of append and fdatasync of the same sizes: one object a flush, or as many as there are associations."""
    associations, pixels, objects = case
    block = os.urandom(pixels) * associations
    fd = os.open(Path(folder) / "loop", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    start = time.monotonic()
    for _ in range(objects):
        os.write(fd, block)
        os.fdatasync(fd)
    seconds = time.monotonic() - start
    os.close(fd)
    os.unlink(Path(folder) / "loop")
    return objects * associations / seconds


def measure(contenders, folder):
    disk, peak_kib = {}, 0
    ours = contenders[0].server
    for round_number in range(ROUNDS + 1):  # the first round warms up and is not counted
        for case in CASES:
            disk.setdefault(case, []).append(disk_rate(folder, case))
            for i, c in enumerate(contenders):
                before = c.server.cpu_s()
                rate, gigabytes = load(c.server, case, round_number * 100 + i * 10 + CASES.index(case))
                if round_number:
                    c.rates.setdefault(case, []).append(rate)
                    c.cpu.setdefault(case, []).append((c.server.cpu_s() - before) / gigabytes)
                if c.server is ours:
                    peak_kib = max(peak_kib, ours.memory_kib())
    return disk, peak_kib


def show(contenders, disk, peak_kib):
    print(f"\nC-STORE, medians of {ROUNDS} interleaved rounds (objects/s, server CPU s/GB)")
    print(f"{'':28}" + "".join(f"{c[0]:>3} x {c[1] // 1024:>3} KiB      " for c in CASES))
    median = statistics.median
    for c in contenders:
        print(f"{c.name:28}" + "".join(f"{median(c.rates[case]):8.0f}/s {median(c.cpu[case]):6.1f}  " for case in CASES))
    print(f"{'append + fdatasync':28}" + "".join(f"{median(disk[case][1:]):8.0f}/s         " for case in CASES))
    print(f"{'gantry, share of the disk':28}" + "".join(f"{100 * median(contenders[0].rates[case]) / median(disk[case][1:]):8.0f} %         " for case in CASES))
    for c in contenders[1:]:
        print(f"{'gantry / ' + c.name:28}" + "".join(f"{median(contenders[0].rates[case]) / median(c.rates[case]):8.1f} x         " for case in CASES))
    print(f"gantry's anonymous memory at most {peak_kib / 1024:.0f} MiB")


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        servers = [("gantry (durable)", gantry.Server(Path(folder) / "gantry")), ("Orthanc as installed", peers.Orthanc(Path(folder) / "o1")),
                   ("Orthanc nodelay, no fsync", peers.Orthanc(Path(folder) / "o2", tuned=True)), ("storescp as installed", peers.Storescp(Path(folder) / "s1")),
                   ("storescp nodelay", peers.Storescp(Path(folder) / "s2", tuned=True))]
        contenders = [Contender(name, server) for name, server in servers]
        try:
            show(contenders, *measure(contenders, folder))
        finally:
            for _, server in servers:
                server.stop()
