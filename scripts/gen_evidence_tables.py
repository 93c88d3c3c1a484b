#!/usr/bin/env python3
"""Turns the reference values that ship with the product into a C table: gen_evidence_tables.py OUT.c FILE..."""
import sys
from pathlib import Path


def main(out, *files):
    parts, rows = [], []
    for i, file in enumerate(sorted(map(Path, files))):
        content = file.read_bytes()
        lines = [", ".join(map(str, content[k:k + 24])) for k in range(0, len(content), 24)]
        parts.append(f"static const unsigned char file_{i}[] = {{\n    " + ",\n    ".join(lines) + "};\n")
        rows.append(f'    {{"{file.name}", (const char *)file_{i}, sizeof file_{i}}},\n')
    head = '// Made by scripts/gen_evidence_tables.py from data/evidence/.\n#include "mod/evidence/shipped.h"\n\n'
    Path(out).write_text(head + "\n".join(parts) + "\nconst struct ev_shipped EV_SHIPPED[] = {\n" + "".join(rows) + "    {0},\n};\n")


main(*sys.argv[1:])
