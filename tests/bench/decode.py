"""Decoding against DCMTK's and OpenJPEG's own tools: CPU seconds for the same large objects, the results compared, rounds interleaved."""
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy
import pydicom

ROUNDS = int(os.environ.get("ROUNDS", "5"))
FRAMES = 96
BARS = {"RLE": 8, "JPEG lossless": 3, "JPEG-LS": 2, "JPEG 2000": 1}
GANTRY = os.environ["GANTRY"]


def cost(*command):
    """CPU and wall seconds of a command whose output nobody wants."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def slices(folder):
    run(GANTRY, "synth", "--kind", "chest-ct", "--size", "512", "--slices", "32", "--out", folder / "ct")
    files = sorted((folder / "ct").rglob("IM*.dcm"))[:32]
    return [pydicom.dcmread(f) for f in files]


def write(ds, path, pixels, frames, rows, columns, samples=1):
    """An object like ds with other pixels."""
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames, rows, columns
    if samples == 3:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration, ds.PixelRepresentation = 3, "RGB", 0, 0
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = pixels.tobytes()
    ds.save_as(path)


def make(folder):
    """A CT of many frames, the same in colour, and one large image, with noise such as detectors have."""
    ds = slices(folder)
    volume = numpy.stack([d.pixel_array for d in ds])
    noise = numpy.random.default_rng(7).normal(0, 6, volume.shape).astype(volume.dtype)
    volume = numpy.clip(volume + noise, volume.min(), volume.max()).astype(volume.dtype)
    gray, colour, large = folder / "gray.dcm", folder / "colour.dcm", folder / "large.dcm"
    write(ds[0], gray, numpy.concatenate([volume] * (FRAMES // len(ds))), FRAMES, 512, 512)
    eight = numpy.clip((volume.astype(int) + 200) >> 1, 0, 255).astype(numpy.uint8)
    write(ds[1], large, numpy.block([[volume[4 * r + c] for c in range(4)] for r in range(5)]), 1, 2560, 2048)
    rgb = numpy.stack([eight, numpy.roll(eight, 1, 0), numpy.roll(eight, 2, 0)], -1)
    write(ds[2], colour, numpy.concatenate([rgb] * (FRAMES // len(ds))), FRAMES, 512, 512, 3)
    return {"gray": gray, "colour": colour, "large": large}


def pixels_of(native):
    return bytes(pydicom.dcmread(native).PixelData)


def show(name, ours, theirs, mib):
    bar = next((bar for key, bar in BARS.items() if name.startswith(key) and "worker" not in name), 0)
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"{name:<40} {1000 * a:9.1f} {1000 * b:9.1f} {mib / a:9.0f} {b / a:8.1f} x{'' if b / a >= bar else '   (bar: %d x)' % bar}", flush=True)


def dcmtk(folder, name, native, encoder, decoder):
    """DCMTK's encoder makes the object, both decode it; what a process costs by itself is taken off both."""
    encoded = folder / "encoded.dcm"
    run(*encoder, native, encoded)
    ours = [GANTRY, "frames", encoded, "--decode", "--out", "-", "--workers"]
    wanted = pixels_of(native)
    for workers in ("0", "1"):
        assert run(*ours, workers) == wanted, f"{name}: other pixels"
    costs = [[], [], []]
    for _ in range(ROUNDS):
        costs[0].append(cost(*ours, "0")[0] - cost(GANTRY, "--version")[0])
        costs[1].append(cost(*ours, "1")[0] - 2 * cost(GANTRY, "--version")[0])
        costs[2].append(cost(decoder, encoded, "/dev/null")[0] - cost(decoder, "--version")[0])
    mib = len(wanted) / (1 << 20)
    show(name, costs[0], costs[2], mib)
    show(name + ", in a worker", costs[1], costs[2], mib)


def jpeg2000(folder, native):
    encoded, codestream, raw = folder / "encoded.dcm", folder / "frame-000001.j2k", folder / "out.raw"
    run(GANTRY, "transcode", native, "--to", "j2k-lossless", "--out", encoded)
    run(GANTRY, "frames", encoded, "--out", folder)
    ours = [GANTRY, "frames", encoded, "--decode", "--workers", "0", "--out", folder, "--threads"]
    theirs = ["opj_decompress", "-i", codestream, "-o", raw, "-threads"]
    assert run(GANTRY, "frames", encoded, "--decode", "--out", "-") == pixels_of(native), "JPEG 2000: other pixels"
    cpu, wall = [[], []], [[], [], [], []]
    for _ in range(ROUNDS):
        for i, command in enumerate((ours + ["1"], theirs + ["1"], ours + ["2"], theirs + ["2"])):
            c, w = cost(*command)
            wall[i].append(w)
            if i < 2:
                cpu[i].append(c)
    show("JPEG 2000, 2048 x 2560 x 16 bits", *cpu, 10)
    a, b, c, d = (1000 * statistics.median(w) for w in wall)
    print(f"    one thread and two, wall ms: gantry {a:.0f} and {c:.0f} ({a / c:.2f} x), opj_decompress {b:.0f} and {d:.0f} ({b / d:.2f} x)")


def side_by_side(folder, native, name, syntax):
    """Frames over one worker and over two: what a second core is worth."""
    encoded = folder / "encoded.dcm"
    run(GANTRY, "transcode", native, "--to", syntax, "--out", encoded)
    command = [GANTRY, "frames", encoded, "--decode", "--out", "-", "--workers"]
    walls = [[], []]
    for _ in range(ROUNDS):
        for i in range(2):
            walls[i].append(cost(*command, i + 1)[1])
    one, two = (1000 * statistics.median(w) for w in walls)
    print(f"    {FRAMES} frames of {name} by one worker and by two, wall ms: {one:.0f} and {two:.0f} ({one / two:.2f} x)")


def main():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        made = make(folder)
        print(f"\nDecoding {FRAMES} frames of 512 x 512, median of {ROUNDS}\n")
        print(f"{'':<40} {'ms CPU':>9} {'peer':>9} {'MiB/s':>9} {'ratio':>10}")
        for kind in ("gray", "colour"):
            bits = "16 bits" if kind == "gray" else "RGB"
            dcmtk(folder, f"RLE, {bits}", made[kind], ["dcmcrle"], "dcmdrle")
            dcmtk(folder, f"JPEG lossless SV1, {bits}", made[kind], ["dcmcjpeg", "+e1", *(["+cn"] if kind == "colour" else [])], "dcmdjpeg")
            dcmtk(folder, f"JPEG-LS, {bits}", made[kind], ["dcmcjpls"], "dcmdjpls")
        jpeg2000(folder, made["large"])
        side_by_side(folder, made["gray"], "JPEG 2000", "j2k-lossless")
        side_by_side(folder, made["gray"], "JPEG-LS", "jpeg-ls")
