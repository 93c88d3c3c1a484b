#!/usr/bin/env python3
"""The bill of materials is SPDX 2.3 as its specification has it, complete, the same each time, and names no library that the licence forbids."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from gantry import GANTRY, ROOT, need_tools  # noqa: E402

need_tools("dpkg-query", "readelf", "ldd")
# Of the specification's clauses 6 to 11: what must be there, and what may.
PACKAGE = {"SPDXID", "name", "versionInfo", "supplier", "downloadLocation", "filesAnalyzed", "licenseConcluded", "licenseDeclared", "copyrightText", "primaryPackagePurpose",
           "externalRefs", "homepage", "packageFileName", "checksums", "sourceInfo"}
PURPOSES = {"APPLICATION", "FRAMEWORK", "LIBRARY", "CONTAINER", "OPERATING-SYSTEM", "DEVICE", "FIRMWARE", "SOURCE", "ARCHIVE", "FILE", "INSTALL", "OTHER"}
RELATIONSHIPS = {"DESCRIBES", "DYNAMIC_LINK", "DEPENDS_ON", "BUILD_TOOL_OF"}
# Annex A's list, as far as it is used here.
LICENSES = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-or-later", "IJG", "ISC", "LGPL-2.0-or-later", "LGPL-2.1-only",
            "LGPL-2.1-or-later", "LGPL-3.0-or-later", "MIT", "MPL-1.1", "PostgreSQL", "Zlib", "blessing", "curl", "libpng-2.0", "GCC-exception-3.1"}
SANITIZERS = {"libasan8", "libubsan1", "libtsan2", "liblsan0"}  # of a build for tests
KEEP = tempfile.TemporaryDirectory()


def make(name):
    out = Path(KEEP.name) / name
    subprocess.run([sys.executable, str(ROOT / "scripts" / "sbom.py"), GANTRY, str(out)], check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    return out.read_text(encoding="utf-8")


TEXT = make("one.json")
SBOM = json.loads(TEXT)


class Sbom(unittest.TestCase):
    def test_the_document_says_what_the_specification_asks(self):
        self.assertEqual((SBOM["spdxVersion"], SBOM["dataLicense"], SBOM["SPDXID"]), ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"))
        self.assertRegex(SBOM["documentNamespace"], r"^[a-z]+:[^#]+$")
        self.assertEqual(SBOM["creationInfo"]["created"], "2023-11-14T22:13:20Z")
        self.assertTrue(all(re.match(r"(Tool|Person|Organization): ", c) for c in SBOM["creationInfo"]["creators"]))

    def test_every_package_is_well_formed(self):
        ids = [p["SPDXID"] for p in SBOM["packages"]]
        self.assertEqual(len(ids), len(set(ids)))
        for p in SBOM["packages"]:
            self.assertLessEqual(set(p), PACKAGE, p["name"])
            self.assertRegex(p["SPDXID"], r"^SPDXRef-[A-Za-z0-9.-]+$")
            self.assertIn(p["primaryPackagePurpose"], PURPOSES)
            self.assertIs(p["filesAnalyzed"], False)
            self.assertTrue(p["supplier"] == "NOASSERTION" or p["supplier"].startswith("Organization: "))
            self.assertRegex(p["downloadLocation"], r"^(NOASSERTION|https://\S+)$")
            for field in ("licenseDeclared", "licenseConcluded"):
                words = set(re.findall(r"[A-Za-z0-9.-]+", p[field])) - {"AND", "OR", "WITH", "NOASSERTION"}
                self.assertLessEqual(words, LICENSES, p["name"])
            for ref in p.get("externalRefs", []):
                self.assertEqual((ref["referenceCategory"], ref["referenceType"]), ("PACKAGE-MANAGER", "purl"))
                self.assertRegex(ref["referenceLocator"], r"^pkg:deb/debian/[a-z0-9.%B-]+@[^?#\s+]+\?arch=\w+&distro=debian-12$")

    def test_every_relationship_joins_what_is_there(self):
        ids = {p["SPDXID"] for p in SBOM["packages"]} | {"SPDXRef-DOCUMENT"}
        for r in SBOM["relationships"]:
            self.assertEqual(set(r), {"spdxElementId", "relationshipType", "relatedSpdxElement"})
            self.assertIn(r["relationshipType"], RELATIONSHIPS)
            self.assertLessEqual({r["spdxElementId"], r["relatedSpdxElement"]}, ids)
        self.assertEqual(sum(r["relationshipType"] == "DESCRIBES" for r in SBOM["relationships"]), 1)
        joined = {r[k] for r in SBOM["relationships"] for k in ("spdxElementId", "relatedSpdxElement")}
        self.assertEqual(ids - joined, set())

    def test_every_library_that_the_binary_asks_for_is_there_and_none_is_gpl(self):
        asked = re.findall(r"\(NEEDED\).*\[(.+?)\]", subprocess.run(["readelf", "-d", GANTRY], capture_output=True, text=True, check=True).stdout)
        names = {p["SPDXID"]: p for p in SBOM["packages"]}
        linked = {names[r["relatedSpdxElement"]]["name"]: names[r["relatedSpdxElement"]] for r in SBOM["relationships"] if r["relationshipType"] == "DYNAMIC_LINK"}
        self.assertGreaterEqual(len(linked), len(asked) / 2)  # one package has several libraries now and then
        for want in ("libssl3", "libsqlite3-0", "libpq5", "libmicrohttpd12", "libc6"):
            self.assertIn(want, linked)
        for name, p in linked.items():
            if name in SANITIZERS:
                continue
            self.assertNotEqual(p["licenseDeclared"], "NOASSERTION", f"{name}: its licence belongs into scripts/sbom.py")
            free = [one for one in p["licenseDeclared"].split(" OR ") if not one.startswith("GPL") or "GCC-exception" in one]
            self.assertTrue(free, f"{name} is {p['licenseDeclared']}")

    def test_the_same_binary_gives_the_same_bytes(self):
        self.assertEqual(TEXT, make("two.json"))


unittest.main(verbosity=1)
