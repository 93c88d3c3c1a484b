#!/usr/bin/env python3
"""Words of the reports: every name and sentence that the evidence sources give to a report or a figure has its Chinese in data/evidence_terms.tsv, with the same values."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TERMS = ROOT / "data" / "evidence_terms.tsv"
# function -> which of its arguments are keys
KEYS = {"ev_report_init": [2], "ev_report_value": [1], "ev_report_in": [1, 3], "ev_report_text": [1], "ev_report_estimate": [1], "ev_report_none": [1, 2],
        "ev_report_method": [1], "ev_report_warn": [1], "warn_once": [1], "tell_interval": [1], "tell_index": [1], "ev_plot_init": [2, 3, 4], "ev_plot_level": [1], "ev_term": [0], "add_told": [2]}
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|//[^\n]*|/\*.*?\*/|\w+|.', re.S)
ESCAPE = re.compile(r'\\(x[0-9A-Fa-f]{2}|.)')
PLAIN = re.compile(r'[^A-Za-z]*')  # symbols alone are the same in every language


def unescaped(literal):
    def one(m):
        return chr(int(m[1][1:], 16)) if m[1][0] == "x" else {"n": "\n", "t": "\t"}.get(m[1], m[1])
    return ESCAPE.sub(one, literal[1:-1])


def arguments(tokens, i):
    """The arguments of the call whose '(' is tokens[i], each a list of tokens."""
    depth, out = 0, [[]]
    for t in tokens[i:]:
        if t in "([{":
            depth += 1
            if depth == 1:
                continue
        elif t in ")]}":
            depth -= 1
            if depth == 0:
                return out
        elif t == "," and depth == 1:
            out.append([])
            continue
        out[-1].append(t)
    return out


def texts(argument):
    """Its string literals, adjacent ones joined; those of a condition each for itself. What stands in brackets of a call is not its own."""
    out, joined, depth = [], False, 0
    for t in argument:
        if t.isspace() or t.startswith(("//", "/*")):
            continue
        depth += (t in "([{") - (t in ")]}")
        if t.startswith('"') and depth == 0:
            out = out[:-1] + [out[-1] + unescaped(t)] if joined else out + [unescaped(t)]
            joined = True
        else:
            joined = False
    return out


def keys_of(path):
    tokens = [t for t in TOKEN.findall(path.read_text(encoding="utf-8"))]
    for i, t in enumerate(tokens):
        if t not in KEYS:
            continue
        k = i + 1
        while k < len(tokens) and tokens[k].isspace():
            k += 1
        if k == len(tokens) or tokens[k] != "(":
            continue
        given = arguments(tokens, k)
        for n in KEYS[t]:
            if n < len(given):
                for text in texts(given[n]):
                    yield text


def read_terms():
    terms = {}
    for line in TERMS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            key, chinese = line.split("\t")
            terms[key] = chinese
    return terms


def main():
    terms, faults, used = read_terms(), [], 0
    for path in sorted((ROOT / "src" / "mod" / "evidence").glob("*.c")) + sorted((ROOT / "src" / "app").glob("evidence*.c")):
        for key in keys_of(path):
            used += 1
            if key not in terms and not PLAIN.fullmatch(key):
                faults.append(f"{path.relative_to(ROOT)}: no Chinese for \"{key}\"")
    for key, chinese in terms.items():
        if sorted(set(re.findall(r"\{\d\}", key))) != sorted(set(re.findall(r"\{\d\}", chinese))):
            faults.append(f"data/evidence_terms.tsv: the values of \"{key}\" differ in its Chinese")
    print("\n".join(sorted(set(faults))) if faults else f"terms: {used} uses, all in Chinese too")
    return 1 if faults else 0


sys.exit(main())
