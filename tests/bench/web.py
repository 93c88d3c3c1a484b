"""DICOMweb as served: a frame of a large object, a CT instance, a study, metadata, rendered CT; against Orthanc as packaged and tuned, interleaved.

LARGE=gigabytes in the environment adds an object of that size and the memory while it is streamed.
"""
import json
import os
import random
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import gantry
import peers

ROUNDS = int(os.environ.get("ROUNDS", "3"))
FETCH = str(Path(gantry.LOAD).parent / "fetch")
FRAMES, ROWS = 300, 512
JSON, MULTIPART, OCTETS = "application/dicom+json", 'multipart/related; type="application/dicom"; transfer-syntax=*', 'multipart/related; type="application/octet-stream"'


def element(group, number, vr, value):
    if isinstance(value, str):
        value = value.encode()
    if len(value) & 1:
        value += b"\0" if vr == "UI" else b" "
    if vr in ("OB", "OW", "SQ", "UN", "UT"):
        return struct.pack("<HH2sHI", group, number, vr.encode(), 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr.encode(), len(value)) + value


def us(group, number, value):
    return element(group, number, "US", struct.pack("<H", value))


def item(body):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body


def functional_group(i):
    """What an enhanced MR object says of each frame: position, content, echo (PS3.3 C.7.6.16)."""
    position = element(0x0020, 0x9113, "SQ", item(element(0x0020, 0x0032, "DS", f"-100\\-100\\{i * 1.5:.1f}")))
    content = element(0x0020, 0x9111, "SQ", item(element(0x0018, 0x9074, "DT", f"20250310093000.{i:06d}") + element(0x0020, 0x9157, "UL", struct.pack("<II", 1, i + 1))))
    echo = element(0x0018, 0x9114, "SQ", item(element(0x0018, 0x9082, "FD", struct.pack("<d", 12.5))))
    window = element(0x0028, 0x9132, "SQ", item(element(0x0028, 0x1050, "DS", "600") + element(0x0028, 0x1051, "DS", "1200")))
    return item(echo + content + position + window)


def multi_frame(path, uid, frames, rows):
    """A multi-frame MR object whose pixels are written frame by frame: any size."""
    meta = element(0x0002, 0x0001, "OB", b"\0\1") + element(0x0002, 0x0002, "UI", "1.2.840.10008.5.1.4.1.1.4.1") + element(0x0002, 0x0003, "UI", uid) + \
        element(0x0002, 0x0010, "UI", "1.2.840.10008.1.2.1") + element(0x0002, 0x0012, "UI", "1.2.3.4.5")
    head = b"".join([
        element(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.4.1"), element(0x0008, 0x0018, "UI", uid), element(0x0008, 0x0020, "DA", "20250310"),
        element(0x0008, 0x0060, "CS", "MR"), element(0x0010, 0x0010, "PN", "Large^Object"), element(0x0010, 0x0020, "LO", "LARGE"),
        element(0x0020, 0x000D, "UI", uid + ".1"), element(0x0020, 0x000E, "UI", uid + ".2"), us(0x0028, 0x0002, 1), element(0x0028, 0x0004, "CS", "MONOCHROME2"),
        element(0x0028, 0x0008, "IS", str(frames)), us(0x0028, 0x0010, rows), us(0x0028, 0x0011, rows), us(0x0028, 0x0100, 16), us(0x0028, 0x0101, 12), us(0x0028, 0x0102, 11),
        us(0x0028, 0x0103, 0), element(0x5200, 0x9230, "SQ", b"".join(functional_group(i) for i in range(min(frames, 300))))])
    noise = random.Random(7).randbytes(rows * rows * 2)
    with open(path, "wb") as file:
        file.write(bytes(128) + b"DICM" + element(0x0002, 0x0000, "UL", struct.pack("<I", len(meta))) + meta + head)
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, frames * rows * rows * 2))
        for i in range(frames):
            file.write(struct.pack("<H", i) + noise[2:])


def fetch(server, paths, accept, encoding="-"):
    """(ms of each request, CPU seconds of the server, seconds, bytes)"""
    before = server.cpu_s()
    out = subprocess.run([FETCH, str(server.http_port), accept, encoding], input="\n".join(paths) + "\n", capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    answer = json.loads(out.stdout)
    return answer["ms"], server.cpu_s() - before, answer["seconds"], answer["bytes"]


def store(server, path):
    gantry.run(gantry.GANTRY, "store", f"{server.aet}@127.0.0.1:{server.dicom_port}", path)


class Contender:
    def __init__(self, name, server):
        self.name, self.server, self.figures = name, server, {}

    def note(self, what, value):
        self.figures.setdefault(what, []).append(value)

    def median(self, what):
        return statistics.median(self.figures[what]) if what in self.figures else float("nan")


BIG = "1.2.826.0.1.3680043.10.9.77.1"


def load_uids(seed, number, series):
    """The study, series and SOP Instance UID of the load generator's object."""
    def uid(kind, b):
        return f"1.2.826.0.1.3680043.10.9.{kind}.{1000000000 + seed:010d}.{1000000000 + b:010d}".ljust(48, "7")
    return uid(2, series), uid(3, series), uid(1, number)


def load(server, objects, pixels, seed):
    subprocess.run([gantry.LOAD, "127.0.0.1", str(server.dicom_port), server.aet, "1", str(objects), str(pixels), str(seed)], check=True, stdout=subprocess.DEVNULL)


def first_frame(c, path):
    """A frame of an object that was just stored."""
    ms, _, _, _ = fetch(c.server, [path], OCTETS)
    c.note("frame first ms", ms[0])


def frames(c, count):
    path = f"/dicom-web/studies/{BIG}.1/series/{BIG}.2/instances/{BIG}/frames/"
    ms, cpu, _, _ = fetch(c.server, [path + str(random.randint(1, FRAMES)) for _ in range(count)], OCTETS)
    c.note("frame ms", statistics.median(ms))
    c.note("frame CPU ms", 1e3 * cpu / count)


def instances(c, count):
    study, series, _ = load_uids(1, 0, 0)
    paths = [f"/dicom-web/studies/{study}/series/{series}/instances/{load_uids(1, i % 100, 0)[2]}" for i in range(count)]
    ms, cpu, _, _ = fetch(c.server, paths, MULTIPART)
    c.note("CT ms", statistics.median(ms))
    c.note("CT CPU ms", 1e3 * cpu / count)


def study(c, count):
    _, cpu, seconds, got = fetch(c.server, [f"/dicom-web/studies/{load_uids(1, 0, 0)[0]}"] * count, MULTIPART)
    c.note("study GB/s", got / 1e9 / seconds)
    c.note("study CPU s/GB", cpu / (got / 1e9))


def rendered(c, uids, count, first_width):
    """Pictures that nobody asked for before, then the same ones again."""
    paths = [f"/dicom-web/studies/{s}/series/{e}/instances/{i}/rendered?window=40,{first_width + k},linear" for k, (s, e, i) in enumerate((uids * count)[:count])]
    again = paths if isinstance(c.server, peers.Orthanc) else paths * 20
    for what, asked in (("rendered anew per CPU s", paths), ("rendered again per CPU s", again)):
        _, cpu, _, _ = fetch(c.server, asked, "image/jpeg")
        c.note(what, len(asked) / max(cpu, 0.01))


def stream_large(server, folder, gigabytes):
    path = Path(folder) / "large.dcm"
    rows, uid = 4096, BIG + "9"
    multi_frame(path, uid, max(1, int(gigabytes * 1e9 / (rows * rows * 2))), rows)
    store(server, path)
    size = path.stat().st_size
    path.unlink()
    peak = [server.memory_kib()]
    for what in (f"/dicom-web/studies/{uid}.1", f"/dicom-web/studies/{uid}.1/series/{uid}.2/instances/{uid}/frames/1"):
        process = subprocess.Popen([FETCH, str(server.http_port), MULTIPART if "frames" not in what else OCTETS, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        process.stdin.write(what + "\n")
        process.stdin.close()
        while process.poll() is None:
            peak.append(server.memory_kib())
            time.sleep(0.02)
        assert process.returncode == 0
    print(f"an object of {size / 1e9:.1f} GB streamed: anonymous memory at most {max(peak) / 1024:.0f} MiB")


ROWS_SHOWN = [("frame first ms", 1.5), ("frame ms", 1.5), ("frame CPU ms", 0.5), ("CT ms", None), ("CT CPU ms", 0.4), ("study GB/s", None), ("study CPU s/GB", 0.6),
              ("metadata 100 first ms", 20), ("metadata 100 ms", 2), ("metadata 1000 first ms", 20), ("metadata 1000 ms", 8), ("rendered anew per CPU s", None), ("rendered again per CPU s", None)]


def show(contenders):
    print(f"\nDICOMweb, medians of {ROUNDS} interleaved rounds; frames are of a {FRAMES}-frame object of {FRAMES * ROWS * ROWS * 2 / 1e6:.0f} MB")
    print(f"{'':24}{'bar':>8}" + "".join(f"{c.name:>22}" for c in contenders))
    for what, bar in ROWS_SHOWN:
        print(f"{what:24}{'' if bar is None else bar:>8}" + "".join(f"{c.median(what):22.2f}" for c in contenders))
    for c in contenders[1:]:
        for what in ("rendered anew per CPU s", "rendered again per CPU s"):
            print(f"{what}: gantry / {c.name}: {contenders[0].median(what) / c.median(what):.1f} x")


def first_metadata(c, path, what):
    ms, _, _, _ = fetch(c.server, [path + "/metadata"], JSON, "gzip")
    c.note(what, ms[0])


def uids_of(path):
    text = gantry.run(gantry.GANTRY, "dump", path).stdout
    return [text.split(tag)[1].split("[")[1].split("]")[0] for tag in ("(0020,000D)", "(0020,000E)", "(0008,0018)")]


def prepare(contenders, folder):
    big = Path(folder) / "big.dcm"
    multi_frame(big, BIG, FRAMES, ROWS)
    gantry.run(gantry.GANTRY, "synth", "--out", Path(folder) / "synth", "--kind", "head-ct", "--slices", "1000", "--size", "64")
    many = sorted((Path(folder) / "synth").rglob("*.dcm"))
    many_study = uids_of(many[0])[0]
    gantry.run(gantry.GANTRY, "synth", "--out", Path(folder) / "ct", "--kind", "chest-ct", "--slices", "10", "--size", "512", "--seed", "7")
    shown = [uids_of(path) for path in sorted((Path(folder) / "ct").rglob("*.dcm"))]
    for c in contenders:
        store(c.server, big)
        first_frame(c, f"/dicom-web/studies/{BIG}.1/series/{BIG}.2/instances/{BIG}/frames/150")
        load(c.server, 100, 526 * 1024, 1)
        load(c.server, 100, 10 * 1024, 2)
        first_metadata(c, f"/dicom-web/studies/{load_uids(2, 0, 0)[0]}", "metadata 100 first ms")
        store(c.server, Path(folder) / "synth")
        first_metadata(c, f"/dicom-web/studies/{many_study}", "metadata 1000 first ms")
        store(c.server, Path(folder) / "ct")
    return many_study, shown


def measure(contenders, folder):
    many, shown = prepare(contenders, folder)
    for round_number in range(ROUNDS):
        random.seed(round_number)
        for c in contenders:
            ours = not isinstance(c.server, peers.Orthanc)
            frames(c, 600 if ours else 20)
            instances(c, 600 if ours else 100)
            study(c, 20 if ours else 2)
            for what, uid, count in (("metadata 100 ms", load_uids(2, 0, 0)[0], 60), ("metadata 1000 ms", many, 20)):
                ms, _, _, _ = fetch(c.server, [f"/dicom-web/studies/{uid}/metadata"] * (count if ours else 2), JSON, "gzip")
                c.note(what, statistics.median(ms))
            rendered(c, shown, 200 if ours else 60, 300 + 300 * round_number)


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        servers = [("gantry", gantry.Server(Path(folder) / "gantry")), ("Orthanc as packaged", peers.Orthanc(Path(folder) / "o1")),
                   ("Orthanc tuned", peers.Orthanc(Path(folder) / "o2", tuned=True))]
        if os.environ.get("ALONE"):
            for _, server in servers[1:]:
                server.stop()
            servers = servers[:1]
        contenders = [Contender(name, server) for name, server in servers]
        try:
            measure(contenders, folder)
            show(contenders)
            if os.environ.get("LARGE"):
                stream_large(contenders[0].server, folder, float(os.environ["LARGE"]))
        finally:
            for _, server in servers:
                server.stop()
