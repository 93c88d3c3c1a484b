#!/usr/bin/env python3
"""Writes docs/conformance/dicomweb.md, the DICOMweb part of the conformance statement (PS3.2 N.7), from what `gantry capabilities` prints: the tables that
the code runs on. --check compares instead and fails when the committed file is not current."""
import argparse
import json
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "docs" / "conformance" / "dicomweb.md"

HEAD = """# Conformance statement: DICOMweb

Made by `scripts/gen_conformance.py` from the tables that the server runs on; do not edit. The services are those of PS3.18 (2026a) under `/dicom-web`, and
the URI service at `/wado`. A test compares this page with what the binary says.

## Transactions

Every resource answers `HEAD` as `GET` without its body and `OPTIONS` with `Allow`. The first media type is the default. Statuses beyond these are those of PS3.18 8.5:
401 and 403 by access, 405 with `Allow`, 414, 431, 500, 501, 503. Every refusal is `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail` and
`instance`.

| method | resource | transaction | PS3.18 | request payload | response payload | query parameters | statuses |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

NOT_YET = """
Not offered: the Worklist Service (UPS-RS, PS3.18 11), the Non-Patient Instance Service (12) and the Storage Commitment Service (13). Their resources answer 404.

## Search

- Matching is that of PS3.4 C.2.2.2: single value, list of UID (comma or backslash), wild card (`*`, `?`), range of dates, times and date-times (date and time combined), sequence
  (`RequestAttributesSequence.ScheduledProcedureStepID`, `00400275.00400009`), universal, empty value (`""`) and multiple values. Names match without regard to case and
  accents, in every component group.
- `fuzzymatching=true`: person names by words in any order, by beginnings, by pinyin and its initials; PS3.4 C.2.2.2.1.1.
- `includefield`: keywords, tags and paths, repeated or separated by commas; `all`.
- `limit` and `offset` page through a stable order: studies newest first, series and instances by number. At most 10,000 results are in one answer; `Warning: 299` tells that there are more.
- `TimezoneOffsetFromUTC` says in which zone the dates and times of the query are.
- No results: 200 with an empty list in JSON, 204 in XML.
- A parameter that is neither in the table above nor an attribute is ignored (8.3), and `Warning: 299` names it; names that begin with `_` are ignored in silence. A value that
  a parameter cannot have is 400.
- Any attribute of the data dictionary can be matched; those below are answered from the index.
"""

STORE = """
## Store

- Payloads: Part 10 objects; or metadata in JSON (one part, one or more data sets) or XML (one part each), with bulk data parts whose `Content-Location` (or `Content-ID`) is what a
  BulkDataURI names. Parts may come in any order.
- Pixel data as `application/octet-stream` is uncompressed, little endian, unless its `transfer-syntax` parameter says otherwise. `image/jpeg`, `image/jls`, `image/jp2`, `image/jph`, `image/jphc`,
  `image/dicom-rle`, `video/mp4` and `video/mpeg` are encapsulated as they are, in the transfer syntax that their header tells; `image/png` is unpacked. Several parts of one location are the frames.
- The Image Pixel Description Macro may be left out of metadata with compressed pixels: it is derived from the codestream. Where it is there it must agree.
- `application/pdf` and other documents become the value of Encapsulated Document.

| reason | meaning |
| --- | --- |
| 0110H | processing failure |
| 0122H | the SOP class is none of storage |
| A700H | out of resources |
| A900H | the attributes do not agree with the pixels, or with the SOP class |
| C000H | the data set or a part cannot be understood |
| C122H | a media type or transfer syntax that is not supported |
| C409H | the instance is not of the study that the path names |
| C410H | no part holds the bulk data that a BulkDataURI names |
| B000H, B006H, B007H (warnings) | coerced; elements discarded; the data set does not match its SOP class |

An instance whose SOP Instance UID is there with other bytes is stored beside the first and answered as stored; `Gantry-Outcome` counts what became of the instances.
"""

SECURITY = """
## Common

- `accept` goes before `Accept` (8.7.8). `charset` and `Accept-Charset`: text is UTF-8; a `charset` that does not have it is 400.
- Rendered studies, series and lists of frames are `multipart/related` always: an `Accept` that names single part media types only is 406 (10.4.4).
- A transfer syntax that has no place for the pixels (12 bits in JPEG Baseline) cannot be accepted: the next range counts, or 406.
- Conditional requests (`ETag`, `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`, `If-Range`), byte ranges, `Content-Encoding: gzip` and `zstd` of JSON by `Accept-Encoding` with weights.
- Cross-origin requests by configuration (`cors: origins:`); none without it.
- URLs follow `http: base-url:`, or `Forwarded` and `X-Forwarded-Proto`, `-Host`, `-Port`, `-Prefix` of `http: trusted-proxies:` (the machine itself when nothing is said). Bulk data URIs are path-absolute.
- Text is UTF-8 (`ISO_IR 192`), repaired where an object does not hold what it declares.
"""


def media(method, part):
    return "<br>".join(f"`{r['mediaType']}`" for r in part.get("representation", [])) or "-"


def rows(node, path=""):
    here = path if node["path"] == "/" else f"{path}/{node['path']}"
    for m in node["method"]:
        if "id" not in m:
            raise SystemExit(f"{m['name']} {here} has no row in mod/dicomweb/transactions.c")
        accept = next((p for p in m["request"]["param"] if p["name"] == "Accept"), {"option": []})
        params = ", ".join(f"`{p['name']}`" for p in m["request"]["param"] if p["style"] == "query")
        answers = "<br>".join(f"`{o['value']}`" for o in accept["option"])
        yield (f"| {m['name']} | `{here or '/'}` | {m['id']} | {SECTIONS.get(m['id'], section(m['id']))} | {media(m, m['request'])} | {answers or '-'} | {params or '-'} "
               f"| {', '.join(r['status'] for r in m['response'])} |")
    for child in node["resource"]:
        yield from rows(child, here)


SECTIONS = {"RetrieveCapabilities": "8.9"}


def section(name):
    for start, number in [("Search", "10.6"), ("Store", "10.5"), ("Delete", "ours"), ("Retrieve", "10.4")]:
        if name.startswith(start):
            return number
    return "-"


def page(gantry):
    said = json.loads(subprocess.run([gantry, "capabilities"], capture_output=True, check=True).stdout)
    out = HEAD + "\n".join(r for node in said["application"]["resources"]["resource"] for r in rows(node)) + "\n" + NOT_YET
    for level, lists in said["details"]["queryAttribute"].items():
        out += f"\n### {level.capitalize()}\n\nAnswered without being asked: "
        out += ", ".join(f"{a['keyword']} ({a['tag'][:4]},{a['tag'][4:]})" for a in lists["returned"]) + ", RetrieveURL (0008,1190).\n"
        out += "\nIn the index: " + ", ".join(a["keyword"] for a in lists["indexed"]) + ".\n"
    out += STORE + "\n## Transfer syntaxes\n\nObjects in any transfer syntax are stored and answered as they are. What can be decoded (to be rendered or converted) and made:\n\n"
    out += "| transfer syntax | UID | decoded | made |\n| --- | --- | --- | --- |\n"
    for ts in said["details"]["transferSyntax"]:
        out += f"| {ts['name']} | {ts['uid']} | {'yes' if ts['decode'] else 'no'} | {'yes' if ts['encode'] else 'no'} |\n"
    return out + SECURITY


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gantry", help="the built binary")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    text = page(given.gantry)
    if given.check:
        if FILE.read_text(encoding="utf-8") != text:
            sys.exit(f"{FILE.name} is not current: run scripts/gen_conformance.py with the built binary")
        return
    FILE.write_text(text, encoding="utf-8")


main()
