#!/usr/bin/env python3
"""Embeds sql/NNNN_name.sql into a C table: gen_migrations.py OUTPUT.c FILE.sql..."""
import os
import re
import sys


def c_string(text):
    lines = []
    for line in text.splitlines():
        line = re.sub(r"^\s*--(?!(postgres|sqlite) ).*$", "", line).rstrip()
        if line:
            lines.append('    "' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"')
    return "\n".join(lines)


def main():
    output, files = sys.argv[1], sorted(sys.argv[2:], key=os.path.basename)
    rows = []
    for wanted, path in enumerate(files, 1):
        name = os.path.basename(path)
        match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)\.sql", name)
        if not match or int(match.group(1)) != wanted:
            sys.exit(f"{name}: migrations are named NNNN_name.sql and numbered without gaps; expected {wanted:04d}")
        with open(path, encoding="utf-8") as f:
            rows.append(f'    {{{wanted}, "{match.group(2)}",\n{c_string(f.read())}}},')
    with open(output, "w", encoding="utf-8") as f:
        f.write("// The numbered migrations of sql/: generated, do not edit.\n")
        f.write('#include "db/migrate.h"\n\nconst struct db_migration DB_MIGRATIONS[] = {\n')
        f.write("\n".join(rows))
        f.write("\n};\nconst unsigned DB_MIGRATION_COUNT = sizeof DB_MIGRATIONS / sizeof *DB_MIGRATIONS;\n")


main()
