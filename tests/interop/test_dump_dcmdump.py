#!/usr/bin/env python3
"""`gantry dump` agrees with DCMTK's dcmdump, element by element: nesting, tag, VR, length and value, over every reference file that dcmdump reads;
the differences are listed here, each with its reason.

Text beyond ASCII is compared by length only: dcmdump prints undecoded bytes, and test_json_pydicom.py compares the decoding.
"""
import html
import re
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

NOT_DICOM = ("hostile/http/", "hostile/pdu/", "hostile/j2k_codestreams/", "standard_tables/")
NOT_READ = {
    "hostile/synthetic/nest_undef_100000.dcm": "dcmdump overflows its stack",
    "hostile/synthetic/nest_undef_5000.dcm": "deeper than our ceiling",
    "hostile/synthetic/sr_tree_3000.dcm": "deeper than our ceiling",
    "hostile/synthetic/sq_1m_items.dcm": "a million items: minutes for dcmdump",
    "hostile/synthetic/deflate_bomb.dcm": "256 MiB of zeros",
}
OURS = re.compile(r"^( *)\(([0-9A-F]{4}),([0-9A-F]{4})\) (..) +(u/l|\d+)  (.*?)  +(\S.*)?$")
THEIRS = re.compile(r"^( *)\(([0-9a-f]{4}),([0-9a-f]{4})\) (\S\S) (.*?) *# *(u/l|\d+), *(\d+) (.*)$")
LINE_END = "\x02"  # stands for line ends inside dcmdump's values
NUMBERS = {"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"}
TEXT = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}


def reference_files(root):
    for p in sorted(root.rglob("*")):
        name = p.relative_to(root).as_posix()
        if p.is_file() and "/" in name and not name.startswith(NOT_DICOM) and name not in NOT_READ and p.suffix not in (".json", ".tsv", ".md"):
            yield name


def our_elements(root, files):
    """file -> [(depth, tag, vr, length, value)]"""
    run = subprocess.run([gantry.GANTRY, "dump", *files], cwd=root, capture_output=True, timeout=300)
    assert run.returncode in (0, 65), f"exit code {run.returncode}: {run.stderr.decode()[-2000:]}"
    out, current = {}, None
    for line in run.stdout.decode().split("\n"):
        if line.startswith("# file "):
            current = out.setdefault(line[7:], [])
        m = OURS.match(line)
        if m:
            current.append((len(m[1]) // 4, m[2] + m[3], m[4], m[5], m[7] or ""))
        else:
            assert not line or line.startswith("#") or re.match(r" +(item \d+|fragment \d+)", line), f"a line that is no element: {line}"
    return out


def their_elements(root, files):
    out = {}
    options = ["-q", "+F", "-M", "+R", "4", "-Un", "+Qn", "+uc"]
    for at in range(0, len(files), 400):
        run = subprocess.run(["dcmdump", *options, *files[at:at + 400]], cwd=root, capture_output=True, timeout=300)
        current, pending = None, ""
        for line in run.stdout.decode("latin-1").split("\n"):
            head = re.match(r"# dcmdump \(\d+/\d+\): (.*)", line)
            if head:
                current, pending = out.setdefault(head[1], []), ""
                continue
            if current is None or (not pending and not re.match(r" *\([0-9a-f]{4},[0-9a-f]{4}\) ", line)):
                continue
            pending = pending + "\n" + line if pending else line
            m = THEIRS.match(pending.replace("\n", LINE_END))
            if not m:
                continue  # text of several lines: the remark with the length ends it
            pending = ""
            if m[2] != "fffe":
                # two blanks for each sequence and each item around
                current.append((len(m[1]) // 4, (m[2] + m[3]).upper(), m[4], m[6], m[5]))
    return out


def text_value(value):
    """dcmdump's [text], unquoted; None when it is beyond ASCII or was cut."""
    m = re.match(r"^\[(.*)\]$", value, re.S)
    if not m:
        return None
    text = re.sub(r"&#(\d+);", lambda x: chr(int(x[1])), m[1].replace(LINE_END, "\n"))
    text = html.unescape(text) if "&" in text else text
    return text if all(ord(c) < 127 for c in text) and "\x1b" not in text else None


def shown(value):
    """Our [text] without quoting, and whether it was cut."""
    m = re.match(r"^\[(.*)\](\.\.\.)?( \S+)?$", value, re.S)
    return (re.sub(r"\\x([0-9A-F]{2})", lambda x: chr(int(x[1], 16)), m[1]), bool(m[2])) if m else (value, False)


def same_text(ours, theirs):
    if "&#27;" in theirs:
        return True
    if theirs == "(no value available)":
        return ours in ("(no value)", "[]")
    cut = theirs.endswith("...")
    # cut in the middle of a quoted character, at times
    other = text_value(re.sub(r"&[#0-9]*$", "", theirs[:-3].rstrip("]")) + "]" if cut else theirs)
    if other is None:
        return True
    text, our_cut = shown(ours)
    if cut or our_cut:
        n = min(len(text), len(other), 40)
        return text[:n] == other[:n]
    return text.rstrip(" \0") == other.rstrip(" \0")


def same_list(ours, theirs, equal):
    if theirs in ("(no value available)", "(not loaded)"):
        return theirs == "(not loaded)" or ours == "(no value)"
    a, b = ours.split("\\"), theirs.split("\\")
    cut = ours.endswith("...") or theirs.endswith("...")
    if cut:
        n = min(len(a), len(b)) - 1
        a, b = a[:n], b[:n]
    return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b))


def same_number(x, y):
    """Both print enough digits to tell a value from its neighbours, not the same number of them."""
    if x == y:
        return True
    try:
        a, b = float(x), float(y)
    except ValueError:
        return False
    same_float = abs(a) < 3e38 and abs(b) < 3e38 and struct.pack("<f", a) == struct.pack("<f", b)
    return a == b or (a != a and b != b) or abs(a - b) <= 1e-14 * max(abs(a), abs(b)) or same_float


def bytes_of(value):
    """Bytes, or words as the line shows them, as far as it does."""
    parts = value.removesuffix("...").split("\\")
    return b"".join(bytes.fromhex(p) for p in parts if re.fullmatch(r"([0-9a-f]{2})+", p))


def same_value(vr, ours, theirs):
    if theirs == "(not loaded)":
        return True
    if vr == "SQ":
        return ours.split(" ")[0] == re.search(r"#=(\d+)\)", theirs)[1]
    if vr in TEXT:
        return same_text(ours, theirs)
    if vr in NUMBERS:
        return same_list(ours, theirs, same_number)
    if vr == "AT":
        return same_list(ours.lower(), theirs, str.__eq__)
    if "PixelSequence" in theirs:
        return ours.split(" ")[0] == re.search(r"#=(\d+)\)", theirs)[1]
    if vr in ("OF", "OD"):
        return same_list(ours, theirs, same_number)
    if theirs in ("(no value available)", "(no value)"):
        return ours == "(no value)"
    a, b = bytes_of(ours), bytes_of(theirs)
    n = min(len(a), len(b))
    return n > 0 and a[:n] == b[:n]


FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}


def raw(vr, value):
    """The little endian bytes of one of our values, as far as the line shows them; None for what is not worth it."""
    if vr in TEXT:
        text, _ = shown(value)
        return text.encode("latin-1") if all(ord(c) < 127 for c in text) else b""
    if vr in FORMATS:
        number = float if vr in ("FL", "FD") else int
        return b"".join(struct.pack("<" + FORMATS[vr], number(x)) for x in value.removesuffix("...").split("\\"))
    return None


def same_bytes(vr, ours, theirs):
    if "(no value" in ours or "(no value" in theirs:
        return "(no value" in ours and "(no value" in theirs
    a = raw(vr, ours)
    if a is None:
        return vr in ("AT", "OB", "OW", "UN")
    b = bytes_of(theirs)
    n = min(len(a), len(b))
    return a[:n] == b[:n]


# Files whose header was damaged: what stands behind the damage is read differently.
BROKEN = {
    "hostile/synthetic/bitflip_02.dcm": "a VR of the meta header with a flipped bit: dcmdump goes on with ??",
    "hostile/synthetic/bitflip_03.dcm": "a tag of the meta header with a flipped bit: ours finds the data set behind it",
    "hostile/synthetic/bitflip_07.dcm": "a VR with a flipped bit, and a length with another",
}


def same_word(x, y):
    """Equal as 16 bits, signed or not."""
    return (int(x) - int(y)) % 65536 == 0


def explain_length(a, b):
    if a[3] != "u/l" and b[3] != "u/l" and int(a[3]) % 2 and int(b[3]) == int(a[3]) + 1:
        return "odd lengths: dcmdump prints the value with a byte of padding"
    return None


def explain(path, a, b):
    """The rule that explains why two listings of one element differ, or None."""
    _, tag, vr, length, value = a
    _, _, other_vr, other_length, other = b
    if tag == "00041500" and re.sub(r"\.dcm\]", "]", value) == other:
        return "a file name with its extension in a directory: dcmdump corrects it"
    if length != other_length:
        return explain_length(a, b)
    if other_vr == "up" and vr == "UL" and value == other:
        return "offsets of a directory: UL, which dcmdump prints as up"
    if vr == other_vr == "UI" and value.split("]")[0].replace(" ", "") == other.split("]")[0]:
        return "a space inside a UID: dcmdump leaves it out"
    if other_vr == "xs" and vr in ("US", "SS") and same_list(value, other, same_word):
        return "US or SS in implicit VR: ours tells them apart, dcmdump prints xs"
    if {vr, other_vr} == {"OW", "OB"} and same_value(vr, value, other):
        return "encapsulated or byte data in implicit VR: OW is what implicit VR has, dcmdump prints OB"
    if other_vr in ("??", "UN") and same_bytes(vr, value, other):
        return "private attributes that one dictionary knows and the other does not: dcmdump prints UN or ??"
    if vr == "UN" and other_vr != "SQ" and same_bytes(other_vr, other, value):
        return "private attributes that one dictionary knows and the other does not: ours stay UN"
    if int(tag[3], 16) % 2 and raw(vr, value) and same_bytes(vr, value, hex_of(other_vr, other)):
        return "a private attribute that the dictionaries have with different VRs"
    return None


def hex_of(vr, value):
    return "\\".join(f"{b:02x}" for b in raw(vr, value) or b"")


def below(elements, i):
    """The index of the first element behind i that is not inside it."""
    j = i + 1
    while j < len(elements) and elements[j][0] > elements[i][0]:
        j += 1
    return j


def compare(path, ours, theirs, rules, unexplained):
    i = j = 0
    if path in BROKEN:
        rules[f"{path}: {BROKEN[path]}"] += 1
        return
    while i < len(ours) and j < len(theirs):
        a, b = ours[i], theirs[j]
        if a[:2] != b[:2]:
            unexplained.append(f"{path}: ours {a} theirs {b}")
            return
        i, j = i + 1, j + 1
        if a[2] == b[2] and a[3] == b[3] and same_value(a[2], a[4], b[4]):
            continue
        if a[3] == b[3] and {a[2], b[2]} == {"SQ", "UN"}:
            rules["a private sequence sent as UN, which one dictionary knows and the other does not"] += 1
            i, j = below(ours, i - 1), below(theirs, j - 1)
            continue
        why = explain(path, a, b)
        if why:
            rules[why] += 1
        else:
            unexplained.append(f"{path}: ours {a} theirs {b}")
    if i < len(ours) or j < len(theirs):
        unexplained.append(f"{path}: ours {len(ours)} elements, theirs {len(theirs)}; next {ours[i:i + 1] + theirs[j:j + 1]}")


def main():
    gantry.need_tools("dcmdump")
    root = gantry.need_data("dicom")
    files = list(reference_files(root))
    ours, theirs = our_elements(root, files), their_elements(root, files)
    rules, unexplained, compared = Counter(), [], 0
    for name in files:
        if theirs.get(name):
            compared += 1
            compare(name, ours.get(name, []), theirs[name], rules, unexplained)
    for why, count in rules.most_common():
        print(f"{count:6} {why}")
    print(f"{compared} files compared, {sum(map(len, theirs.values()))} elements")
    assert not unexplained, "\n".join(x[:400] for x in unexplained[:40]) + f"\n{len(unexplained)} differences without a reason"
    assert compared > 900


main()
