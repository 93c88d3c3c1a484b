#!/usr/bin/env python3
"""Sums up gcov's JSON (one object a line on standard input): branch and line coverage of parsers and store. See coverage.sh."""
import json
import sys
from collections import defaultdict

WATCHED = """dicom/read.c dicom/assemble.c dicom/part10.c dicom/inflate.c dicom/json_read.c dicom/charset.c dimse/pdu_decode.c dimse/message.c dimse/command.c
    http/multipart.c http/media.c text/json.c text/iso2022.c text/gzip.c text/xml.c store/tar.c store/scan.c store/volume.c store/writer.c store/spool.c""".split()


def gather(stream):
    """source -> line -> list of how often each branch edge was taken, and source -> line -> count; the maximum over the programs that hold it."""
    branches, lines = defaultdict(dict), defaultdict(dict)
    for text in stream:
        for f in json.loads(text)["files"]:
            name = f["file"].split("src/", 1)[-1]
            for line in f["lines"]:
                key = (line["line_number"], line.get("function_name", ""))
                edges = [b["count"] for b in line["branches"]]
                old = branches[name].get(key, [0] * len(edges))
                if len(old) == len(edges):
                    branches[name][key] = [max(a, b) for a, b in zip(old, edges)]
                lines[name][key] = max(lines[name].get(key, 0), line["count"])
    return branches, lines


def main():
    limit, shown = float(sys.argv[1]), sys.argv[2:]
    branches, lines = gather(sys.stdin)
    below = []
    print(f"{'source':24} {'branches':>8} {'taken':>6} {'lines':>6}")
    for name in WATCHED:
        edges = [e for line in branches[name].values() for e in line]
        run = list(lines[name].values())
        if not run:
            continue
        share = 100 * sum(e > 0 for e in edges) / max(1, len(edges))
        print(f"{name:24} {len(edges):8} {share:5.1f}% {100 * sum(c > 0 for c in run) / len(run):5.1f}%")
        if share < limit:
            below.append(name)
    for name in shown:
        source = open(f"src/{name}").read().split("\n")
        for (number, _), edges in sorted(branches[name].items()):
            if 0 in edges:
                print(f"{name}:{number}: {'-+'[edges[0] > 0]}{''.join('-+'[e > 0] for e in edges[1:])} {source[number - 1].strip()}")
    if below:
        print(f"below {limit:.0f} %: {', '.join(below)}")
    return bool(below)


sys.exit(main())
