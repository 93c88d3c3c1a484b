#!/usr/bin/env python3
"""Layer rule: a file includes only its own folder or lower layers; a module never another module; heavy headers have one includer."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYER = {"base": 0, "text": 1, "math": 1, "sys": 1, "net": 1, "dicom": 2, "pixel": 2, "codec": 2, "dimse": 3, "http": 3, "hl7": 3, "fhir": 3,
         "store": 4, "db": 4, "core": 5, "mod": 6, "app": 7}
# Within one layer: which other folder may be included. pixel and codec stand on dicom; text (charsets, XML) and net use sys.
SIDEWAYS = {("pixel", "dicom"), ("codec", "dicom"), ("codec", "pixel"), ("text", "sys"), ("net", "sys"), ("net", "text"), ("store", "db")}
HEAVY = ["openssl/ssl.h", "argon2.h", "libpq-fe.h", "sqlite3.h", "microhttpd.h", "curl/curl.h", "openjpeg.h", "openjph/ojph_codestream.h", "charls/charls.h", "seccomp.h", "xxhash.h", "cairo.h",
         "png.h", "jpeglib.h", "jansson.h", "expat.h", "archive.h", "zstd.h", "cyaml/cyaml.h", "iconv.h"]
# Those of several purposes: one file for each, named here.
PURPOSES = {"openssl/evp.h": ["sys/digest.c", "sys/cipher.c", "sys/sign.c"], "openssl/x509.h": ["net/cert.c", "net/cert_make.c"]}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def folder_of(path):
    parts = path.parts
    return "/".join(parts[:2]) if parts[0] == "mod" else parts[0]


def main():
    faults, includers = [], {}
    src = ROOT / "src"
    for file in sorted(f for f in src.rglob("*") if f.suffix in (".c", ".h", ".cpp")):
        rel = file.relative_to(src)
        own = folder_of(rel)
        text = file.read_text(encoding="utf-8")
        if not text.startswith("// "):
            faults.append(f"src/{rel}:1: the first line says in one sentence what the file is for")
        for quote, name in INCLUDE.findall(text):
            if quote == "<":
                if name in PURPOSES and str(rel) not in PURPOSES[name]:
                    faults.append(f"src/{rel}: <{name}> is for {', '.join(PURPOSES[name])}")
                if name in HEAVY:
                    includers.setdefault(name, []).append(str(rel))
                continue
            if "/" not in name:
                faults.append(f"src/{rel}: #include \"{name}\" lacks its folder")
                continue
            other = folder_of(Path(name))
            own_top, other_top = own.split("/")[0], other.split("/")[0]
            if other_top not in LAYER:
                faults.append(f"src/{rel}: #include \"{name}\" is of no layer")
            elif other == own:
                continue
            elif own_top == other_top == "mod":
                faults.append(f"src/{rel}: module {own} includes module {other}")
            elif LAYER[other_top] > LAYER[own_top] or (LAYER[other_top] == LAYER[own_top] and (own_top, other_top) not in SIDEWAYS):
                faults.append(f"src/{rel}: {own} (layer {LAYER[own_top]}) includes \"{name}\" (layer {LAYER[other_top]})")
    for name, files in sorted(includers.items()):
        if len(files) > 1:
            faults.append(f"<{name}> is included by more than one file: {', '.join(files)}")
    print("\n".join(faults) if faults else "layers: every include goes down")
    return 1 if faults else 0


sys.exit(main())
