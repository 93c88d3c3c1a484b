#!/usr/bin/env python3
# Turns data/dictionary.tsv, data/uids.tsv and data/private.tsv into tags.h, uids.h and the C tables behind dicom/dict.h and dicom/uid.h.
import re
import sys

VRS = "AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
KINDS = {
    "Other": "DCM_UID_OTHER", "SOPClass": "DCM_UID_SOP_CLASS", "TransferSyntax": "DCM_UID_TRANSFER_SYNTAX", "MetaSOPClass": "DCM_UID_META_SOP_CLASS",
    "WellKnownInstance": "DCM_UID_WELL_KNOWN_INSTANCE", "CodingScheme": "DCM_UID_CODING_SCHEME", "ApplicationContext": "DCM_UID_APPLICATION_CONTEXT",
    "ApplicationHosting": "DCM_UID_APPLICATION_HOSTING", "LDAP": "DCM_UID_LDAP", "FrameOfReference": "DCM_UID_FRAME_OF_REFERENCE",
}
TAG_SLOTS_LOG2 = 14  # of the open-addressed table of tags; about a third full
HASH_MULTIPLIER = 0x9E3779B1  # 2^32 / golden ratio; dict.c uses the same


def rows(path, columns):
    """The data rows of a table, each with exactly the columns expected."""
    out = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            cells = line.split("\t")
            if len(cells) != columns:
                sys.exit(f"{path}:{number}: {len(cells)} columns, expected {columns}")
            out.append(cells)
    return out


def c_string(s):
    return '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'


def vr_list(text):
    names = [] if text in ("", "-") else text.split(" or ")
    for n in names:
        if n not in VRS:
            sys.exit(f"unknown VR {n}")
    return "{" + ", ".join("DCM_VR_" + n for n in names or ["NONE"]) + "}"


def vm_range(text):
    """min, max (0 is n) and step of a VM such as 1, 1-3, 2-2n, 3-n."""
    m = re.fullmatch(r"(\d+)(?:-(\d*)(n)?)?", text)
    if not m:
        sys.exit(f"unknown VM {text}")
    low = int(m[1])
    if m[3]:
        return low, 0, int(m[2] or 1)
    return low, int(m[2] or low), 1


def entry(tag, mask, vr, vm, retired, keyword, name):
    low, high, step = vm_range(vm)
    return "    {0x%08Xu, 0x%08Xu, %s, %d, %d, %d, %s, %s, %s}," % (
        tag, mask, vr_list(vr), low, high, step, "true" if retired else "false", c_string(keyword), c_string(name))


def tag_and_mask(text):
    return int(text.replace("x", "0"), 16), int("".join("0" if c == "x" else "F" for c in text), 16)


def hash_slots(tags):
    slots = [0xFFFF] * (1 << TAG_SLOTS_LOG2)
    for index, tag in enumerate(tags):
        at = (tag * HASH_MULTIPLIER & 0xFFFFFFFF) >> (32 - TAG_SLOTS_LOG2)
        while slots[at] != 0xFFFF:
            at = (at + 1) % len(slots)
        slots[at] = index
    return slots


def array(declaration, values, per_line=16):
    lines = [", ".join(values[i:i + per_line]) + "," for i in range(0, len(values), per_line)]
    return [f"const {declaration} = {{"] + ["    " + line for line in lines] + ["};", ""]


def by_keyword(entries, keyword_at):
    return sorted((i for i, e in enumerate(entries) if e[keyword_at]), key=lambda i: entries[i][keyword_at].encode())


def write_tags_header(path, dictionary):
    with open(path, "w", encoding="utf-8") as f:
        f.write("// Every attribute's tag by keyword: generated from data/dictionary.tsv; x digits of repeating groups are 0.\n")
        f.write("#ifndef GANTRY_DICOM_TAGS_H\n#define GANTRY_DICOM_TAGS_H\n\n")
        for tag, keyword, *_ in dictionary:
            if keyword:
                f.write(f"#define DCM_{keyword} 0x{tag_and_mask(tag)[0]:08X}u\n")
        f.write("\n#endif\n")


def write_uids_header(path, uids):
    with open(path, "w", encoding="utf-8") as f:
        f.write("// Every registered UID as a string by keyword: generated from data/uids.tsv.\n")
        f.write("#ifndef GANTRY_DICOM_UIDS_H\n#define GANTRY_DICOM_UIDS_H\n\n")
        for uid, keyword, *_ in uids:
            if keyword:
                f.write(f'#define DCM_UID_{keyword} "{uid}"\n')
        f.write("\n#endif\n")


def dictionary_tables(dictionary):
    single = [r for r in dictionary if "x" not in r[0]]
    single.sort(key=lambda r: int(r[0], 16))
    repeating = [r for r in dictionary if "x" in r[0]]
    every = single + repeating
    out = [f"const uint32_t dcm_dict_count = {len(single)};", f"const uint32_t dcm_dict_repeating_count = {len(repeating)};", ""]
    out += ["const struct dcm_dict_entry dcm_dict_entries[] = {"]
    for tag, keyword, name, vr, vm, retired in every:
        number, mask = tag_and_mask(tag)
        out.append(entry(number, mask, vr, vm, retired, keyword, name))
    out += ["};", ""]
    tags = [int(r[0], 16) for r in single]
    out += array("uint32_t dcm_dict_tags[]", ["0x%08Xu" % t for t in tags])
    out += array("uint16_t dcm_dict_slots[]", [str(s) for s in hash_slots(tags)])
    order = by_keyword(every, 1)
    out += [f"const uint32_t dcm_dict_keyword_count = {len(order)};"]
    out += array("uint16_t dcm_dict_by_keyword[]", [str(i) for i in order])
    return out


def private_tables(private):
    creators = {}
    for creator, group, element, vr, vm, name in private:
        creators.setdefault(creator, []).append((int(group + "00" + element, 16), vr, vm, name))
    out = ["const struct dcm_dict_entry dcm_private_entries[] = {"]
    index, first = [], 0
    for creator in sorted(creators, key=str.encode):
        attributes = sorted(creators[creator])
        index.append("    {%s, %d, %d}," % (c_string(creator), first, len(attributes)))
        first += len(attributes)
        out += [entry(tag, 0xFFFF00FF, vr, vm, "", "", name) for tag, vr, vm, name in attributes]
    out += ["};", "", f"const uint32_t dcm_private_creator_count = {len(index)};", "const struct dcm_private_creator_entry dcm_private_creators[] = {"]
    return out + index + ["};", ""]


def uid_tables(uids):
    uids = sorted(uids, key=lambda r: [int(c) for c in r[0].split(".")])
    out = [f"const uint32_t dcm_uid_count = {len(uids)};", "const struct dcm_uid_entry dcm_uid_entries[] = {"]
    for uid, keyword, name, kind, retired, storage in uids:
        out.append("    {%s, %s, %s, %s, %s, %s}," % (
            c_string(uid), c_string(name), c_string(keyword), KINDS[kind], "true" if retired else "false", "true" if storage else "false"))
    out += ["};", ""]
    out += array("uint16_t dcm_uid_by_text[]", [str(i) for i in sorted(range(len(uids)), key=lambda i: uids[i][0].encode())])
    order = by_keyword(uids, 1)
    out += [f"const uint32_t dcm_uid_keyword_count = {len(order)};"]
    return out + array("uint16_t dcm_uid_by_keyword[]", [str(i) for i in order])


def main():
    dictionary_path, uids_path, private_path, tags_h, uids_h, tables_c = sys.argv[1:]
    dictionary, uids, private = rows(dictionary_path, 6), rows(uids_path, 6), rows(private_path, 6)
    write_tags_header(tags_h, dictionary)
    write_uids_header(uids_h, uids)
    lines = ["// The dictionary, UID registry and private attributes: generated by scripts/gen_dicom_tables.py.", '#include "dicom/tables.h"', ""]
    lines += dictionary_tables(dictionary) + private_tables(private) + uid_tables(uids)
    with open(tables_c, "w", encoding="utf-8") as f:
        f.write("\n".join(lines))


main()
