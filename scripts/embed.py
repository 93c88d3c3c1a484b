#!/usr/bin/env python3
"""Turns the page's files into a C table: embed.py OUT.c FILE..."""
import gzip
import hashlib
import sys
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


def array(name, content):
    lines = [", ".join(map(str, content[i : i + 24])) for i in range(0, len(content), 24)]
    return f"static const unsigned char {name}[] = {{\n    " + ",\n    ".join(lines) + "};\n"


def main(out, *files):
    parts, rows = [], []
    for i, file in enumerate(sorted(map(Path, files))):
        plain = file.read_bytes()
        packed = gzip.compress(plain, 9, mtime=0)
        etag = hashlib.sha256(plain).hexdigest()[:16]
        parts += [array(f"plain_{i}", plain), array(f"gzip_{i}", packed)]
        rows.append(f'    {{"{file.name}", "{TYPES[file.suffix]}", "\\"{etag}\\"", gzip_{i}, sizeof gzip_{i}, plain_{i}, sizeof plain_{i}}},\n')
    head = '// Made by scripts/embed.py from web/.\n#include "mod/web/assets.h"\n\n'
    Path(out).write_text(head + "\n".join(parts) + "\nconst struct web_asset WEB_ASSETS[] = {\n" + "".join(rows) + "    {NULL},\n};\n")


main(*sys.argv[1:])
