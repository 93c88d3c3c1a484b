#!/usr/bin/env python3
"""Objects go through every lossless transfer syntax and back without a pixel or an attribute changed but those that tell of the form, and other toolkits
read what is written. GANTRY_TRANSCODE=all takes every object of the reference data instead of one of each kind."""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

EVERYTHING = os.environ.get("GANTRY_TRANSCODE") == "all"
BYTES_MAX = 64 << 20 if EVERYTHING else 500_000
UIDS = {
    "implicit-le": "1.2.840.10008.1.2", "explicit-le": "1.2.840.10008.1.2.1", "big-endian": "1.2.840.10008.1.2.2", "deflated": "1.2.840.10008.1.2.1.99",
    "encapsulated": "1.2.840.10008.1.2.1.98", "deflated-frame": "1.2.840.10008.1.2.8.1", "rle": "1.2.840.10008.1.2.5",
    "jpeg-lossless": "1.2.840.10008.1.2.4.57", "jpeg-lossless-sv1": "1.2.840.10008.1.2.4.70", "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "j2k-lossless": "1.2.840.10008.1.2.4.90", "htj2k-lossless": "1.2.840.10008.1.2.4.201", "htj2k-rpcl": "1.2.840.10008.1.2.4.202",
}
NATIVE = ("implicit-le", "explicit-le", "big-endian", "deflated")
# Who reads what we wrote: its command, given source and destination.
PEERS = {
    "rle": ["dcmdrle"], "jpeg-lossless": ["dcmdjpeg", "+cn"], "jpeg-lossless-sv1": ["dcmdjpeg", "+cn"], "jpeg-ls": ["dcmdjpls", "+cn"],
    "j2k-lossless": ["gdcmconv", "--raw"],
}
PHOTOMETRIC, PLANAR, PIXELS = "00280004", "00280006", "7FE00010"


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True)


def transcode(files, to, out, *options):
    """Converts many at once; what was refused, by name."""
    out.mkdir(exist_ok=True)
    done = run(gantry.GANTRY, "transcode", *files, "--to", to, "--out", f"{out}/", *options)
    assert done.returncode in (0, 65), (to, done.returncode, done.stderr)
    refused = {}
    for line in done.stderr.splitlines():
        name = next((f.name for f in files if f"{f.name}:" in line), None)
        assert name, f"a message that names no file: {line}"
        refused[name] = line
    for f in files:
        assert (out / f.name).exists() != (f.name in refused), f"{to} {f.name}: {refused.get(f.name, 'neither written nor refused')}"
    return refused


def attributes(path):
    done = run(gantry.GANTRY, "json", path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pixels(attributes):
    return base64.b64decode(attributes.get(PIXELS, {}).get("InlineBinary", ""))


def planes_together(attributes, data):
    """Colour by plane as colour by pixel: the form in which encoders leave it."""
    rows, columns, bits = (attributes[t]["Value"][0] for t in ("00280010", "00280011", "00280100"))
    n, plane = bits // 8, rows * columns * bits // 8
    out = bytearray(len(data))
    for at in range(0, len(data) - 3 * plane + 1, 3 * plane):
        for s in range(3):
            for b in range(n):
                out[at + s * n + b:at + 3 * plane:3 * n] = data[at + s * plane + b:at + (s + 1) * plane:n]
    return bytes(out)


def halves_spread(data):
    """YBR_FULL_422 as YBR_FULL (8 bits): the chrominance of two pixels for each of them."""
    out = bytearray(len(data) // 4 * 6)
    for to, at in enumerate((0, 2, 3, 1, 2, 3)):
        out[to::6] = data[at:len(data) // 4 * 4:4]
    return bytes(out)


def as_implicit(item):
    """What implicit VR carries: neither the VR of private attributes nor which of US and SS or of OB and OW it is; who reads it guesses."""
    out = {}
    for tag, el in item.items():
        if int(tag[3], 16) % 2 == 0 and el["vr"] not in ("US", "SS"):
            out[tag] = {**el, "vr": "OW" if el["vr"] == "OB" else el["vr"]}
            if el["vr"] == "SQ":
                out[tag]["Value"] = [as_implicit(v) for v in el.get("Value", [])]
    return out


def compare(name, before, after):
    """Nothing but the form of the pixels may differ, and the pixels themselves are the same."""
    if name.startswith("implicit-le"):
        before, after = as_implicit(before), as_implicit(after)
    data = pixels(before)
    declared = {PIXELS}
    if before.get(PHOTOMETRIC) != after.get(PHOTOMETRIC):
        assert before[PHOTOMETRIC]["Value"] == ["YBR_FULL_422"] and after[PHOTOMETRIC]["Value"] == ["YBR_FULL"], f"{name}: photometric interpretation"
        data = halves_spread(data)
        declared.add(PHOTOMETRIC)
    if before.get(PLANAR) != after.get(PLANAR):
        assert before[PLANAR]["Value"] == [1] and after[PLANAR]["Value"] == [0], f"{name}: planar configuration"
        data = planes_together(before, data)
        declared.add(PLANAR)
    for tag in before.keys() | after.keys():
        if tag not in declared and not (tag.endswith("0000") or tag == "00080001"):
            assert before.get(tag) == after.get(tag), f"{name}: {tag} was {str(before.get(tag))[:200]}, is {str(after.get(tag))[:200]}"
    assert data == pixels(after)[:len(data)], f"{name}: other pixels"
    assert len(pixels(after)) - len(data) in (0, 1), f"{name}: {len(pixels(after))} bytes of pixels, {len(data)} were there"


def wanted():
    """One object of each kind: transfer syntax, class, depth, frames."""
    root = gantry.need_data("dicom")
    seen, files = set(), []
    for line in (root / "index.tsv").read_text().splitlines()[1:]:
        path, size, _, modality, sop, ts, rows, columns, frames, bits, _, _ = (line.split("\t") + [""] * 12)[:12]
        kind = (ts, bits, frames not in ("", "0", "1"), sop if not rows else modality in ("US", "SEG", "RTDOSE"))
        if not ts or path.startswith("hostile/") or int(size) > BYTES_MAX or (kind in seen and not EVERYTHING):
            continue
        seen.add(kind)
        files.append(root / path)
    return files


def named(files, folder):
    """Copies under names that are each other's like nowhere."""
    folder.mkdir()
    out = []
    for i, f in enumerate(files):
        out.append(folder / f"{i:04d}-{f.name.replace(' ', '_')}")
        shutil.copyfile(f, out[-1])
    return out


# What a transfer syntax has no place for, each by the standard or by the coding; the words are those of the message.
REFUSALS = ("only for objects with pixel data", "never encapsulated", "bits", "signed", "video", "no decoder")


def check_refusals(to, refused):
    for name, line in refused.items():
        assert any(word in line for word in REFUSALS), f"{to}: {line}"


def check_peer(to, path, before, scratch):
    """The pixels that another toolkit decodes from ours."""
    out = scratch / "peer.dcm"
    out.unlink(missing_ok=True)
    done = run(*PEERS[to], path, out)
    if done.returncode != 0 or not out.exists():
        return f"{PEERS[to][0]} {path.name}: {done.stderr.strip()[-200:]}"
    after = attributes(out)
    data = pixels(before)
    if after.get(PLANAR) != before.get(PLANAR) and before.get(PLANAR, {}).get("Value") == [1]:
        data = planes_together(before, data)
    elif after.get(PLANAR) != before.get(PLANAR) and after.get(PLANAR, {}).get("Value") == [1]:
        return None if planes_together(after, pixels(after))[:len(data)] == data else f"{PEERS[to][0]} {path.name}: other pixels"
    if before.get(PHOTOMETRIC, {}).get("Value") == ["YBR_FULL_422"]:
        data = halves_spread(data)
    return None if pixels(after)[:len(data)] == data else f"{PEERS[to][0]} {path.name}: other pixels"


def errors_of(path):
    done = run("dciodvfy", path)
    return {line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error") and "ransfer" not in line}


def main():
    gantry.need_tools("dcmdrle", "dcmdjpeg", "dcmdjpls", "gdcmconv", "dciodvfy")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        scratch = Path(scratch)
        files = named(wanted(), scratch / "in")
        refused = transcode(files, "explicit-le", scratch / "base", "--verify")
        for line in refused.values():
            print(line[-220:])
        base = [scratch / "base" / f.name for f in files if f.name not in refused]
        known = {f.name: attributes(f) for f in base}
        problems, counts = [], {}
        for to in UIDS:
            if to == "explicit-le":
                continue
            refused = transcode(base, to, scratch / to)
            there = [scratch / to / f.name for f in base if f.name not in refused]
            check_refusals(to, refused)
            counts[to] = len(there)
            check_refusals(to, transcode(there, "explicit-le", scratch / f"{to}-back"))
            for f in there:
                compare(f"{to} {f.name}", known[f.name], attributes(scratch / f"{to}-back" / f.name))
            for f in there if to in PEERS else []:
                problems.append(check_peer(to, f, known[f.name], scratch))
            shutil.rmtree(scratch / to)
            shutil.rmtree(scratch / f"{to}-back")
        problems = [p for p in problems if p]
        print(len(base), "objects:", ", ".join(f"{to} {n}" for to, n in counts.items()))
        print("\n".join(problems))


if __name__ == "__main__":
    main()
