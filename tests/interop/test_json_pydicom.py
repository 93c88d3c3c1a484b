#!/usr/bin/env python3
"""`gantry json` equals pydicom's Dataset.to_json_dict(), element by element, over every readable reference file; the differences are listed
here, each with its reason. Names equal what the synthetic character set files are known to hold.

Debian 12's pydicom (2.3.1) is the other opinion. A difference that no rule below explains fails the test, and so does
a file listed as broken in which nothing differs.
"""
import base64
import json
import logging
import os
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import pydicom
except ImportError:
    if Path("/usr/bin/python3").exists() and os.path.realpath(sys.executable) != os.path.realpath("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    gantry.skip("python3-pydicom is not installed")

WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

# Not DICOM objects, or hostile ones that pydicom's recursion or patience does not survive.
NOT_COMPARED = ("hostile/http/", "hostile/pdu/", "hostile/j2k_codestreams/", "standard_tables/")
NOT_READ = {
    "hostile/synthetic/deflate_bomb.dcm": "256 MiB of zeros",
    "hostile/synthetic/sq_1m_items.dcm": "a million items take pydicom minutes",
    "hostile/synthetic/nest_undef_5000.dcm": "deeper than Python recurses; ours stops at its depth ceiling",
    "hostile/synthetic/nest_undef_100000.dcm": "the same",
    "hostile/synthetic/sr_tree_3000.dcm": "the same",
}

# Files outside hostile/ that cannot be read to their end: no DICOM objects, a length beyond the end, an item outside a sequence. What stands before the break
# is compared.
UNREADABLE = ("pydicom__deid/resources/", "fo-dicom__fo-dicom/GH179B.dcm", "fo-dicom__fo-dicom/GH364.dcm")

# Broken files that the two read differently behind the break: what differs, and why ours is as it is. Prefixes of paths inside the data set; "" is everything.
BROKEN = {
    "fo-dicom__fo-dicom/GH179A.dcm": ("00280120 and behind", "an element without VR in an explicit stream: ours reads it as implicit and goes on, pydicom takes the rest as its value"),
    "fo-dicom__fo-dicom/GH179B.dcm": ("00280120 and behind", "the same"),
    "hostile/synthetic/vr_lowercase_nul.dcm": ("00081030 and behind", "NULs for a VR: ours reads that element as implicit VR, pydicom swallows what follows"),
    "hostile/synthetic/vr_invalid.dcm": ("00081030", "pydicom refuses the VR ZZ; ours knows the attribute"),
    "hostile/synthetic/delim_stray.dcm": ("7FE00010 and behind", "delimiters outside a sequence: ours steps over them, pydicom ends there"),
    "hostile/synthetic/enc_no_delim.dcm": ("7FE00010", "fragments without a delimiter: ours keeps the whole ones, pydicom drops the element"),
    "hostile/synthetic/len_ffffffff_native_ow.dcm": ("7FE00010", "undefined length on native words: ours keeps the element without value"),
    "hostile/Enet4__dicom-test-files/pydicom/emri_small_jpeg_2k_lossless_too_short.dcm": ("7FE00010", "cut inside its fragments: ours keeps the whole ones"),
    "hostile/synthetic/meta_no_dicm.dcm": ("", "no DICM behind the preamble: ours finds the meta header, pydicom reads the preamble as elements"),
    "hostile/synthetic/meta_odd_vr.dcm": ("", "a meta header with odd VRs: ours finds the data set, pydicom loses it"),
    "hostile/synthetic/charset_trunc_escape.dcm": ("00100010", "an escape sequence cut short: ours marks it, pydicom leaves its bytes"),
    "hostile/synthetic/gb18030_truncated4.dcm": ("00100010", "a character cut short: Python replaces it with one mark, ours replaces byte by byte"),
    "hostile/synthetic/bitflip_03.dcm": ("", "a flipped bit in the preamble's DICM: pydicom reads the meta header as data set"),
    "hostile/synthetic/tags_unsorted.dcm": ("00100010", "a tag that stands twice: ours keeps the first, pydicom the last"),
    "hostile/synthetic/bitflip_04.dcm": ("00280010 and behind", "a length with a flipped bit"),
}


def read(path):
    """pydicom's JSON by element; an element that pydicom cannot convert is its exception."""
    ds = pydicom.dcmread(path, force=True)
    out = {}
    for tag in ds.keys():
        try:
            out[f"{tag:08X}"] = ds[tag].to_json_dict(None, 0)
        except Exception as e:
            out[f"{tag:08X}"] = e
    return out


def same_number(a, b):
    try:
        return float(a) == float(b) or (float(a) != float(a) and float(b) != float(b))
    except (TypeError, ValueError, OverflowError):
        return False


def swapped(value, unit):
    raw = base64.b64decode(value)
    whole = len(raw) // unit * unit
    out = b"".join(raw[i:i + unit][::-1] for i in range(0, whole, unit))
    return out + raw[whole:]


def without_escapes(value):
    """pydicom 2.3.1 leaves the escape sequence of ISO 2022 IR 58 in the text that it has decoded."""
    return {k: v.replace("\x1b$)A", "") for k, v in value.items()} if isinstance(value, dict) else value


def as_ours(vr, theirs):
    """What our rules make of one of pydicom's values."""
    if theirs == "" or theirs is None:
        return None  # PS3.18 F.2.5: empty values among several are null; pydicom writes ""
    if vr == "PN":
        return {k: v for k, v in theirs.items() if v} or None  # F.2.2: a component group without content is not there; pydicom writes Alphabetic ""
    return theirs


def explain(path, where, ours, theirs, big_endian):
    """The rule that explains why one element differs, or None."""
    tag = where[-8:]
    if theirs is not None and not isinstance(theirs, Exception) and ours is None:
        return "PS3.18 F.2: group lengths are not part of the model" if tag.endswith("0000") else None
    if isinstance(theirs, Exception):
        if ours and ours["vr"] in ("DS", "IS") and any(isinstance(v, str) for v in ours.get("Value", [])):
            return "PS3.18 table F.2.3-1: DS and IS that are no numbers are strings; pydicom raises"
        if ours and ours["vr"] == "IS" and any(isinstance(v, float) for v in ours.get("Value", [])):
            return "IS with a fraction is written as the number that stands there; pydicom raises"
        if path == "charset_chinese_synthetic/gbk_second_byte_5c.dcm":
            return "pydicom splits a two-byte character at its second byte 5C"
        return None
    if ours is None or theirs is None:
        return None
    vr, other_vr = ours["vr"], str(theirs["vr"])
    a, b = ours.get("Value"), theirs.get("Value")
    if vr == "UN" and other_vr == "SQ" and path == "dcm4che__dcm4che/Tag-0040-A170-VR-CS.dcm":
        return "a CS value under a tag that the dictionary has as SQ, sent as UN: ours leaves the bytes, pydicom makes an empty item of them"
    if big_endian and vr == "UN" and other_vr not in ("UN", "SQ") and "InlineBinary" in ours:
        return "PS3.5 6.2.2: the value of UN is little endian in any stream: ours leaves its bytes, pydicom reads numbers in big endian"
    if vr != other_vr:
        return None
    if vr == "SQ":
        return "PS3.18 F.2.5: a sequence without items has no Value; pydicom writes []" if a is None and b == [] else None
    if big_endian and vr in WORDS and "InlineBinary" in ours and base64.b64decode(ours["InlineBinary"]) == swapped(theirs["InlineBinary"], WORDS[vr]):
        return "PS3.18 F.2.7: InlineBinary is little endian; pydicom leaves big endian values as they stood"
    if a is None or b is None or len(a) != len(b):
        return None
    pairs = [(x, as_ours(vr, y)) for x, y in zip(a, b)]
    if all(x == y for x, y in pairs):
        return "PS3.18 F.2.5: what is empty is null or absent; pydicom writes ''"
    if vr == "CS" and all(x == (y or "").strip(" ") or x == y for x, y in pairs):
        return "PS3.5 6.2: trailing spaces of a CS mean nothing; pydicom strips only those of the last value"
    if vr == "PN" and all(x == without_escapes(y) for x, y in pairs):
        return "pydicom 2.3.1 leaves the escape sequences of ISO 2022 IR 58 in the text"
    if vr == "PN" and path == "charset_other_synthetic/ISO_IR_203.dcm":
        return "pydicom 2.3.1 does not know ISO_IR 203 and reads Latin-1"
    if vr in ("DS", "IS", "FL", "FD") and all(same_number(x, y) or x == y for x, y in pairs):
        return "NaN, infinities and what overflows are strings, since JSON has no such numbers; pydicom leaves Python's"
    if vr in ("UI", "CS") and any("\N{REPLACEMENT CHARACTER}" in x for x in a):
        return "bytes beyond ASCII in a VR without character set are no characters; pydicom reads Latin-1"
    return None


def broken(path, where):
    place = BROKEN.get(path, (None,))[0]
    if place is None:
        return None
    first = place.split(" ")[0]
    top = where.split("/")[0]
    hit = first == "" or top == first or (place.endswith("behind") and top > first)
    return f"broken file {path}" if hit else None


def compare(path, prefix, ours, theirs, big_endian, rules, unexplained):
    for tag in sorted(set(ours) | set(theirs)):
        a, b, where = ours.get(tag), theirs.get(tag), prefix + tag
        if a == b:
            continue
        both = isinstance(a, dict) and isinstance(b, dict) and a["vr"] == "SQ" and b["vr"] == "SQ"
        if both and len(a.get("Value", [])) == len(b.get("Value", [])) and b.get("Value"):
            for i, (x, y) in enumerate(zip(a["Value"], b["Value"])):
                compare(path, f"{where}/{i + 1}/", x, y, big_endian, rules, unexplained)
            continue
        why = explain(path, where, a, b, big_endian) or broken(path, where)
        if why:
            rules[why] += 1
        else:
            unexplained.append(f"{path} {where}: ours {str(a)[:200]} theirs {str(b)[:200]}")


def reference_files(root):
    for p in sorted(root.rglob("*")):
        name = p.relative_to(root).as_posix()
        if p.is_file() and "/" in name and not name.startswith(NOT_COMPARED) and name not in NOT_READ and p.suffix not in (".json", ".tsv", ".md"):
            yield name


def our_json(root, files):
    run = subprocess.run([gantry.GANTRY, "json", *files], cwd=root, capture_output=True, timeout=300)
    assert run.returncode in (0, 65), f"exit code {run.returncode}: {run.stderr.decode()[-2000:]}"
    lines = run.stdout.split(b"\n")
    said = run.stderr.decode()
    broken_off = {name for name in files if f"gantry json: {name}: " in said}
    surprises = [name for name in broken_off if not name.startswith(("hostile/", *UNREADABLE))]
    assert not surprises, f"not readable: {surprises}"
    assert len(lines) == len(files) + 1 and lines[-1] == b"", f"{len(lines) - 1} lines for {len(files)} files"
    return lines, broken_off


def test_elements(root):
    files = list(reference_files(root))
    rules, unexplained, compared, unread = Counter(), [], 0, []
    lines, broken_off = our_json(root, files)
    for name, line in zip(files, lines):
        ours = json.loads(line)
        try:
            theirs = read(root / name)
        except Exception as e:
            unread.append(f"{name}: {type(e).__name__}")
            continue
        if ours is None:
            # pydicom's force reads anything; without a SOP class or a study there was nothing to read.
            known = [t for t in ("00080016", "0020000D") if isinstance(theirs.get(t), dict) and theirs[t].get("Value")]
            if known:
                unexplained.append(f"{name}: pydicom reads {len(theirs)} elements, we none")
            continue
        compared += 1
        if name in broken_off:
            behind = [t for t in theirs if t > max(ours, default="") or (t not in ours and t.startswith("FFFE"))]
            rules["the object breaks off: ours ends with the last whole element and says so, pydicom keeps what is there"] += len(behind)
            theirs = {t: theirs[t] for t in theirs if t not in behind}
        compare(name, "", ours, theirs, "big_endian" in name or "BigEndian" in name or is_big_endian(root / name), rules, unexplained)
    for why, count in rules.most_common():
        print(f"{count:6} {why}")
    print(f"{compared} files compared; pydicom cannot read: {unread}")
    assert not unexplained, "\n".join(unexplained[:40]) + f"\n{len(unexplained)} differences without a reason"
    assert compared > 900
    idle = [name for name in BROKEN if f"broken file {name}" not in rules and (root / name).exists()]
    assert not idle, f"listed as broken, but nothing differs: {idle}"


def is_big_endian(path):
    with open(path, "rb") as f:
        return b"1.2.840.10008.1.2.2\0" in f.read(1024)


def name_of(element):
    value = element["Value"][0]
    groups = [value.get(k, "") for k in ("Alphabetic", "Ideographic", "Phonetic")]
    return "=".join(groups).rstrip("=")


def test_names(root):
    """Declared names as they are; names that are not in their declared character set with --repair."""
    for folder in ("charset_chinese_synthetic", "charset_other_synthetic"):
        expected = json.loads((root / folder / "expected.json").read_text())
        for options, wanted in ((["--repair"], expected), ([], [x for x in expected if not x["file"].startswith("mislabelled")])):
            run = subprocess.run([gantry.GANTRY, "json", *options, *[x["file"] for x in wanted]], cwd=root / folder, capture_output=True, timeout=60)
            assert run.returncode == 0, run.stderr.decode()
            for entry, line in zip(wanted, run.stdout.split(b"\n")):
                got = name_of(json.loads(line)["00100010"])
                assert got == entry["patient_name_utf8"], f"{entry['file']} {options}: '{got}' is not '{entry['patient_name_utf8']}'"


def test_standard_input(root):
    name = "charset_chinese_synthetic/utf8_00.dcm"
    data = (root / name).read_bytes()
    piped = subprocess.run([gantry.GANTRY, "json", "-"], input=data, capture_output=True, timeout=60)
    direct = subprocess.run([gantry.GANTRY, "json", name], cwd=root, capture_output=True, timeout=60)
    assert piped.returncode == 0 and piped.stdout == direct.stdout


def test_what_is_no_object():
    """Each FILE has its line, whatever it is."""
    result = subprocess.run([gantry.GANTRY, "json", __file__, "/nowhere"], capture_output=True, text=True)
    assert result.stdout == "null\nnull\n" and result.returncode != 0, (result.stdout, result.returncode)
    assert all(line.count("/nowhere") <= 1 for line in result.stderr.splitlines()), result.stderr


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    root = gantry.need_data("dicom")
    test_names(root)
    test_standard_input(root)
    test_what_is_no_object()
    test_elements(root)


main()
