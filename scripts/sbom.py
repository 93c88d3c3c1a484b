#!/usr/bin/env python3
"""A software bill of materials in SPDX 2.3 (JSON): sbom.py BINARY OUT. What the binary is, what it is linked with, and by which tools it was built.

The libraries are those that the binary asks for, as Debian packages with version and package URL; the same sources on the same system give the same file.
"""
import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# By package, as its copyright file has it; what the product itself links.
LICENSES = {
    "libarchive13": "BSD-2-Clause", "libargon2-1": "CC0-1.0 OR Apache-2.0", "libc6": "LGPL-2.1-or-later", "libcairo2": "LGPL-2.1-only OR MPL-1.1",
    "libcharls2": "BSD-3-Clause", "libcurl4": "curl", "libcyaml1": "ISC", "libdeflate0": "MIT", "libexpat1": "MIT",
    "libgcc-s1": "GPL-3.0-or-later WITH GCC-exception-3.1", "libglib2.0-0": "LGPL-2.1-or-later", "libjpeg62-turbo": "BSD-3-Clause AND IJG AND Zlib",
    "liblcms2-2": "MIT", "libmicrohttpd12": "LGPL-2.1-or-later", "libopenjp2-7": "BSD-2-Clause", "libopenjph0.9": "BSD-2-Clause",
    "libpango-1.0-0": "LGPL-2.0-or-later", "libpangocairo-1.0-0": "LGPL-2.0-or-later", "libpng16-16": "libpng-2.0", "libpq5": "PostgreSQL",
    "libseccomp2": "LGPL-2.1-only", "libsqlite3-0": "blessing", "libssl3": "Apache-2.0", "libstdc++6": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libunistring2": "LGPL-3.0-or-later OR GPL-2.0-or-later", "libxxhash0": "BSD-2-Clause", "libyaml-0-2": "MIT", "libzstd1": "BSD-3-Clause OR GPL-2.0-only",
    "zlib1g": "Zlib",
}
TOOLS = ["gcc", "g++", "meson", "ninja-build", "python3"]


def out_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


def needed(binary):
    """The names of libraries that a file asks for by itself."""
    return re.findall(r"\(NEEDED\).*\[(.+)\]", out_of("readelf", "-d", binary))


def resolved(binary):
    """name -> path of all that would be loaded."""
    found = re.findall(r"^\s*(\S+) => (/\S+)", out_of("ldd", binary), re.M)
    return {name: os.path.realpath(path) for name, path in found}


def packages_of(paths):
    """path -> Debian's package, in one question; under a merged /usr a file may be listed without /usr."""
    names = {name: path for path in paths for name in (path, path.removeprefix("/usr"))}
    asked = subprocess.run(["dpkg-query", "-S", *sorted(names)], capture_output=True, text=True).stdout
    found = {}
    for line in asked.splitlines():
        package, _, name = line.partition(": ")
        if name in names:
            found[names[name]] = package.split(":")[0].split(",")[0]
    for path in paths:
        if path not in found:
            raise SystemExit(f"sbom: {path} is of no Debian package")
    return found


def facts_of(package):
    version, arch, source, home = out_of("dpkg-query", "-W", "-f", "${Version}\t${Architecture}\t${source:Package}\t${Homepage}\n", package).splitlines()[0].split("\t")
    return {"version": version, "arch": arch, "source": source, "home": home}


def spdx_id(name):
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name.replace("+", "p"))


def debian(package, purpose):
    f = facts_of(package)
    entry = {
        "SPDXID": spdx_id("Package-" + package),
        "name": package,
        "versionInfo": f["version"],
        "supplier": "Organization: Debian",
        "downloadLocation": f"https://snapshot.debian.org/package/{f['source']}/{f['version'].split('+b')[0]}/",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": LICENSES.get(package, "NOASSERTION"),
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": purpose,
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{package.replace('+', '%2B')}@{f['version'].replace('+', '%2B')}?arch={f['arch']}&distro=debian-12",
        }],
    }
    if f["home"]:
        entry["homepage"] = f["home"]
    return entry


def commit():
    try:
        return out_of("git", "-C", str(ROOT), "rev-parse", "HEAD").strip(), int(out_of("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))
    except (subprocess.CalledProcessError, FileNotFoundError):
        return None, 0


def product(binary, version, hashed):
    revision, _ = commit()
    entry = {
        "SPDXID": "SPDXRef-Package-gantry",
        "name": "gantry",
        "versionInfo": version,
        "supplier": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "packageFileName": Path(binary).name,
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(hashed).hexdigest()}, {"algorithm": "SHA256", "checksumValue": hashlib.sha256(hashed).hexdigest()}],
        "licenseConcluded": "Apache-2.0",
        "licenseDeclared": "Apache-2.0",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "APPLICATION",
    }
    if revision:
        entry["sourceInfo"] = f"built from commit {revision}"
    return entry


def created():
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return datetime.fromtimestamp(int(epoch) if epoch else commit()[1], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def relate(one, what, other):
    return {"spdxElementId": one, "relationshipType": what, "relatedSpdxElement": other}


def gather(binary):
    """Packages, and how they hang together: the binary's own libraries, and what these need in turn."""
    paths, own = resolved(binary), set(needed(binary))
    package = packages_of(set(paths.values()))
    entries = {p: debian(p, "LIBRARY") for p in sorted(set(package.values()))}
    links = {(None, package[path]) for name, path in paths.items() if name in own}
    for path in sorted(set(paths.values())):
        links |= {(package[path], package[paths[other]]) for other in needed(path) if other in paths and package[paths[other]] != package[path]}
    related = [relate(entries[a]["SPDXID"], "DEPENDS_ON", entries[b]["SPDXID"]) if a else relate("SPDXRef-Package-gantry", "DYNAMIC_LINK", entries[b]["SPDXID"])
               for a, b in sorted(links, key=lambda link: (link[0] or "", link[1]))]
    for tool in TOOLS:
        if subprocess.run(["dpkg-query", "-W", tool], capture_output=True).returncode == 0:
            entries[tool] = debian(tool, "APPLICATION")
            related.append(relate(entries[tool]["SPDXID"], "BUILD_TOOL_OF", "SPDXRef-Package-gantry"))
    return entries, related


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    binary, to = sys.argv[1:]
    version = out_of(binary, "--version").split()[-1]
    hashed = Path(binary).read_bytes()
    packages, related = gather(binary)
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"gantry-{version}",
        "documentNamespace": f"urn:sha256:{hashlib.sha256(hashed).hexdigest()}",
        "creationInfo": {"created": created(), "creators": ["Tool: gantry-sbom"]},
        "packages": [product(binary, version, hashed), *(packages[p] for p in sorted(packages))],
        "relationships": [relate("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Package-gantry"), *related],
    }
    Path(to).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{to}: {len(packages)} packages")


if __name__ == "__main__":
    main()
