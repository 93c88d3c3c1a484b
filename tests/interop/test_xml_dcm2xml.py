#!/usr/bin/env python3
"""`gantry json --xml` is the Native DICOM Model that DCMTK's dcm2xml writes, attribute by attribute, over the reference files; the differences are
listed here, each with its reason."""
import base64
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

NS = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
LIMIT = 150


def attributes(node):
    """Every attribute of an element of the model: key to (vr, values)."""
    out = {}
    for a in node:
        if a.tag.removeprefix(NS) != "DicomAttribute":
            continue
        key, values = (a.get("tag"), a.get("privateCreator")), []
        for v in a:
            name = v.tag.removeprefix(NS)
            if name == "Value":
                values.append((v.text or "").strip())
            elif name == "PersonName":
                values.append({g.tag.removeprefix(NS): {p.tag.removeprefix(NS): (p.text or "").strip() for p in g} for g in v})
            elif name == "Item":
                values.append(attributes(v))
            elif name == "InlineBinary":
                values.append(base64.b64decode("".join((v.text or "").split())))
            else:
                values.append(None)  # bulk data
        while values and values[-1] in ("", {}):
            values.pop()
        out[key] = (a.get("vr"), values, a.get("keyword"))
    return out


def same_value(vr, a, b):
    if a == b or a is None or b is None:
        return True
    if isinstance(a, bytes) and isinstance(b, bytes):
        return a.rstrip(b"\0") == b.rstrip(b"\0") or a == b"".join(b[i:i + 2][::-1] for i in range(0, len(b), 2))
    if vr in ("FL", "FD", "OF", "OD", "DS", "IS", "US", "SS", "UL", "SL"):
        try:
            x, y = float(a), float(b)
            return x == y or abs(x - y) <= 1e-6 * max(abs(x), abs(y)) or (x != x and y != y)
        except (TypeError, ValueError):
            return False
    return isinstance(a, str) and isinstance(b, str) and a.replace("\ufffd", "").split() == b.replace("\ufffd", "").split()


def differences(ours, theirs, path=""):
    found = []
    for key, (vr, values, keyword) in theirs.items():
        where = f"{path}/{key[0]}"
        if key[0].endswith("0000") or key[0][:4] in ("0002", "FFFE"):
            continue
        if key not in ours:
            found.append((where, "missing", key))
            continue
        our_vr, our_values, our_keyword = ours[key]
        if our_vr != vr:
            found.append((where, "vr", (our_vr, vr)))
        elif keyword and our_keyword and our_keyword != keyword:
            found.append((where, "keyword", (our_keyword, keyword)))
        elif vr == "SQ":
            if len(values) != len(our_values):
                found.append((where, "items", (len(our_values), len(values))))
            for i, (x, y) in enumerate(zip(our_values, values)):
                found += differences(x, y, f"{where}/{i + 1}")
        elif not (None in values or None in our_values) and (len(values) != len(our_values) or not all(same_value(vr, x, y) for x, y in zip(our_values, values))):
            found.append((where, "value", (our_values[:3], values[:3])))
    return found


# Where the two differ and ours is what the standard says: a rule takes (path, what, detail).
def explained(where, what, detail):
    last = where.rsplit("/", 1)[-1]
    if what == "vr":
        return "UN" in detail or "OB" in detail or "OW" in detail or "??" in detail  # DCMTK keeps UN where our dictionary knows better; OB or OW by context
    if what == "missing":
        return last == "00080005" or int(last[:4], 16) & 1  # DCMTK declares what it converted to; private attributes whose creator is missing or comes twice
    if what == "keyword":
        return True  # renamed by later editions of PS3.6
    if what == "value" and last == "00080005":
        return True  # DCMTK declares what it converted to
    return False


def compare(path):
    theirs = subprocess.run(["dcm2xml", "-q", "-nat", "+U8", "+Eb", str(path)], capture_output=True)
    if theirs.returncode != 0 or not theirs.stdout:
        return None
    ours = subprocess.run([gantry.GANTRY, "json", "--xml", str(path)], capture_output=True)
    if ours.returncode != 0:
        return None
    try:
        their_root = ET.fromstring(theirs.stdout)
    except ET.ParseError:
        return None  # DCMTK writes control characters, which XML cannot hold
    root = ET.fromstring(ours.stdout)
    assert root.tag == NS + "NativeDicomModel", root.tag
    return [d for d in differences(attributes(root), attributes(their_root)) if not explained(*d)]


def main():
    gantry.need_tools("dcm2xml")
    base = gantry.need_data("dicom")
    names = [line.split("\t")[0] for line in (base / "index.tsv").read_text().splitlines()[1:]]
    files = [base / n for n in names if not n.startswith("hostile/") and (base / n).exists() and (base / n).stat().st_size < 600_000]
    files = files[::max(1, len(files) // LIMIT)]
    compared, wrong, kinds = 0, [], Counter()
    for path in files:
        found = compare(path)
        if found is None:
            continue
        compared += 1
        for d in found:
            kinds[d[1]] += 1
            wrong.append((path.relative_to(base), d))
    for name, d in wrong[:20]:
        print(name, d)
    assert compared >= 30 and not wrong, f"{len(wrong)} differences in {compared} files: {dict(kinds)}"
    print(f"{compared} files compared")


main()
