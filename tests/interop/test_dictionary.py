#!/usr/bin/env python3
# The committed dictionary and UID registry against the tables of the standard (edition 2025a), where the reference data hold them.
import gzip
import json
import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TABLES = os.path.join(ROOT, "..", "shared", "data", "dicom", "standard_tables")


def rows(name):
    with open(os.path.join(ROOT, "data", name), encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t") for line in f if line.strip() and not line.startswith("#")]


def table(name):
    with gzip.open(os.path.join(TABLES, name), "rt", encoding="utf-8") as f:
        return json.load(f)


def check_attributes():
    """Every attribute of PS3.6 chapters 6 to 9 with its keyword, name, VR, VM and retirement."""
    ours = {r[0].upper(): r[1:] for r in rows("dictionary.tsv")}
    wrong = []
    for a in table("attributes.json.gz"):
        tag = a["id"].upper()
        if not a["keyword"] or tag.startswith("FFFE"):  # without a keyword: retired and nameless; items have no VR
            continue
        vm = a["valueMultiplicity"].split(" or ")[0]  # "1-n or 1" is 1-n for US and 1 for OW
        expected = [a["keyword"], a["name"], a["valueRepresentation"], vm, "R" if a["retired"] == "Y" else ""]
        if ours.get(tag) != expected:
            wrong.append(f"({tag}): {ours.get(tag)} is not {expected}")
    return wrong


def check_storage_classes():
    """Every SOP class of PS3.4 B.5 and GG.3 is in the registry and marked as one that C-STORE carries; the DICOMDIR is on media only."""
    ours = {r[0]: r for r in rows("uids.tsv")}
    wrong = []
    for sop in table("sops.json.gz"):
        row = ours.get(sop["id"])
        if row is None or not row[2].startswith(sop["name"]):  # PS3.4 leaves out "Storage" once
            wrong.append(f"{sop['id']}: {row} is not {sop['name']}")
        elif row[5] != "S" and row[1] != "MediaStorageDirectoryStorage":
            wrong.append(f"{sop['id']} is not marked as storage")
    return wrong


def check_keywords_are_unique():
    wrong = []
    for name in ("dictionary.tsv", "uids.tsv"):
        keywords = [r[1] for r in rows(name) if r[1]]
        wrong += [f"{name}: {k} twice" for k in sorted(set(keywords)) if keywords.count(k) > 1]
    return wrong


def main():
    wrong = check_keywords_are_unique()
    if os.path.isdir(TABLES):
        wrong += check_attributes() + check_storage_classes()
    elif not wrong:
        print("SKIP the standard's tables are not there")
        sys.exit(77)
    print("\n".join(wrong[:40]))
    sys.exit(1 if wrong else 0)


main()
