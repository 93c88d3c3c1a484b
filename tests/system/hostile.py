#!/usr/bin/env python3
"""Hostile input: malformed files, PDU streams and web bodies end in precise errors; the service answers C-ECHO and HTTP afterwards.

Every input is given to the commands, to C-STORE, to STOW-RS and to import. Bounds: no crash, no sanitizer report, no command of more than 20 s of the processor, no answer later than a minute,
anonymous memory of the whole process tree grows by less than 256 MiB, nothing is written outside the store.
"""
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

LIMIT_S, GROWTH_KIB = 60, 256 * 1024
BOUNDED = ["prlimit", "--cpu=20:25"]  # of the processor: others may have it meanwhile
SANITIZER_EXIT = 99
CT = "1.2.840.10008.5.1.4.1.1.2"
faults = []


def timed(what, limit_s=LIMIT_S):
    class Timer:
        def __enter__(self):
            self.start = time.monotonic()

        def __exit__(self, kind, value, _):
            spent = time.monotonic() - self.start
            if spent > limit_s:
                faults.append(f"{what}: took {spent:.1f} s")
    return Timer()


def check_command(path, *command):
    """One command on one file."""
    try:
        result = subprocess.run([*BOUNDED, gantry.GANTRY, *command, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=180)
    except subprocess.TimeoutExpired:
        faults.append(f"gantry {command[0]} {path}: no end within 180 s")
        return
    error = result.stderr.decode("utf-8", "replace")
    if result.returncode < 0 or result.returncode == SANITIZER_EXIT or "Sanitizer" in error or "runtime error" in error:
        faults.append(f"gantry {command[0]} {path}: exit {result.returncode}: {error[-1500:]}")
    elif result.returncode == 64:
        faults.append(f"gantry {command[0]}: usage: {error[:300]}")
    elif result.returncode != 0 and not error.strip() and command[0] != "validate":
        faults.append(f"gantry {command[0]} {path}: exit {result.returncode} without a word")


def commands(files):
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        for number, path in enumerate(files):
            for command in (("dump",), ("json",), ("validate",), ("render", "--out", f"{folder}/{number}.png")):
                pool.submit(check_command, path, *command)


def dimse(server, files):
    for number, path in enumerate(files):
        data = path.read_bytes()
        body = data[132:] if data[128:132] == b"DICM" else data
        for ts in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"):
            with timed(f"C-STORE of {path.name}"):
                try:
                    with gantry.Association(server.dicom_port, server.aet, [CT], [ts], timeout=120) as association:
                        association.store(CT, f"1.2.3.{number}.4", body + (b"\0" if len(body) & 1 else b""))
                except (ConnectionError, AssertionError, socket.timeout) as error:
                    if isinstance(error, socket.timeout):
                        faults.append(f"C-STORE of {path.name}: no answer")
            if server.process.poll() is not None:
                faults.append(f"C-STORE of {path}: the server ended: {server.stderr()[-3000:]}")
                return


def post(server, what, path, body, content_type):
    with timed(what):
        try:
            status, _, answer = server.http("POST", path, body=body, headers={"Content-Type": content_type, "Accept": "application/dicom+json"}, timeout=120)
        except (ConnectionError, http.client.HTTPException):
            status, answer = 0, b""  # the server may hang up on what it will not read
        except socket.timeout:
            faults.append(f"{what}: no answer")
            return
    if status >= 500 and status not in (501, 503, 507):
        faults.append(f"{what}: {status} {answer[:300]}")
    if server.process.poll() is not None:
        faults.append(f"{what}: the server ended: {server.stderr()[-3000:]}")


def stow(server, files):
    for path in files:
        if server.process.poll() is not None:
            return
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + path.read_bytes() + b"\r\n--b--\r\n"
        post(server, f"STOW-RS of {path.name}", "/dicom-web/studies", body, 'multipart/related; type="application/dicom"; boundary=b')


def web_bodies(server, folder):
    kinds = {".multipart": 'multipart/related; type="application/dicom"; boundary=b', ".json": "application/dicom+json", ".xml": "application/dicom+xml",
             ".zip": "application/zip", ".gz": "application/gzip"}
    for path in sorted(folder.iterdir()):
        if server.process.poll() is not None:
            return
        body = path.read_bytes()
        kind = kinds.get(path.suffix, "application/octet-stream")
        if path.suffix == ".multipart":
            first = body.split(b"\r\n", 1)[0]
            kind = f'multipart/related; type="application/dicom"; boundary="{first[2:].decode("latin-1")}"'
        post(server, f"POST of {path.name}", "/dicom-web/studies", body, kind)


def pdu_stream(server, path):
    with socket.create_connection(("127.0.0.1", server.dicom_port), timeout=60) as s:
        s.settimeout(3)
        try:
            s.sendall(path.read_bytes())
            while s.recv(65536):
                pass
        except (ConnectionError, socket.timeout):
            pass
    try:
        spent = server.echo()
    except (OSError, AssertionError) as error:
        faults.append(f"after the PDUs of {path.name}: C-ECHO: {error} {server.stderr()[-3000:]}")
        return
    if spent > LIMIT_S / 2:
        faults.append(f"after the PDUs of {path.name}: C-ECHO took {spent:.1f} s")


def pdus(server, folder):
    with ThreadPoolExecutor(8) as pool:
        for path in sorted(folder.iterdir()):
            pool.submit(pdu_stream, server, path)


def imports(folder, sandbox):
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".zip", ".gz")):
        check_command(path, "import", "--data", str(sandbox / "imported"))
    check_command(folder.parent, "import", "--data", str(sandbox / "imported"))


def listing(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.iterdir())


def main():
    root = gantry.need_data("dicom", "hostile")
    files = sorted(p for p in root.rglob("*") if p.is_file() and not {"http", "pdu"} & set(p.relative_to(root).parts) and p.suffix != ".tsv")
    started = time.monotonic()

    def step(name):
        print(f"{time.monotonic() - started:6.1f} s {name}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        sandbox = Path(name)
        step(f"{len(files)} files to the commands")
        commands(files)
        before = None
        # freed memory that the sanitizer holds back to catch its use is not the server's growth
        quiet = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8:malloc_context_size=5"}
        with gantry.Server(sandbox / "data", env=quiet) as server:
            before = listing(sandbox)
            watch = gantry.MemoryWatch(server)
            watch.start()
            step("C-STORE")
            dimse(server, files)
            step("STOW-RS")
            stow(server, files)
            step("web bodies")
            web_bodies(server, root / "http")
            step("PDU streams")
            pdus(server, root / "pdu")
            watch.going = False
            step("the service afterwards")
            server.echo()
            status, _, _ = server.http("GET", "/healthz")
            assert status == 200, f"/healthz: {status}"
            growth = watch.peak - watch.start_kib
            print(f"anonymous memory grew by {growth / 1024:.0f} MiB at most")
            if growth > GROWTH_KIB:
                faults.append(f"anonymous memory grew by {growth / 1024:.0f} MiB")
            if listing(sandbox) != before:
                faults.append(f"written outside the store: {set(listing(sandbox)) - set(before)}")
        step("import")
        imports(root / "http", sandbox)
        escaped = set(listing(sandbox)) - set(before) - {"imported"}
        if escaped:
            faults.append(f"import wrote outside the store: {escaped}")
        step("end")
    print("\n".join(faults) if faults else f"{len(files)} hostile files, and the streams and bodies, did no harm")
    sys.exit(1 if faults else 0)


main()
