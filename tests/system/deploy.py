"""The files of docs/deploy and packaging/systemd do what they say: units, nginx and HAProxy before servers of which one is killed."""
import ctypes
import hashlib
import http.client
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import deployed  # noqa: E402
import gantry  # noqa: E402
import objects  # noqa: E402

UNITS = gantry.ROOT / "packaging" / "systemd"


# ---- systemd ----

def check_units(folder):
    for name in ("gantry.service", "gantry@.service"):
        unit = Path(folder) / name
        unit.write_text((UNITS / name).read_text().replace("/usr/bin/gantry", gantry.GANTRY))
        found = gantry.run("systemd-analyze", "verify", "--man=no", unit)
        assert not found.stdout + found.stderr, found.stderr
        score = gantry.run("systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", unit, check=False)
        assert score.returncode == 0, f"{name} is exposed more than 2.0: {score.stdout[-200:]}"
    first, second = ((UNITS / n).read_text().split("[Unit]")[1] for n in ("gantry.service", "gantry@.service"))
    own = r"^(Description|ExecStart|StateDirectory)=.*$"
    assert re.sub(own, "", first, flags=re.M) == re.sub(own, "", second, flags=re.M), "the two units differ in more than their names"


def calls_of(group):
    """Names of a system call group as systemd has it."""
    names = set()
    for line in gantry.run("systemd-analyze", "syscall-filter", group).stdout.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            names |= calls_of(name)
        elif name and not name.startswith("#"):
            names.add(name)
    return names


def allowed_calls():
    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", (UNITS / "gantry.service").read_text(), re.M):
        words = set().union(*(calls_of(w) if w.startswith("@") else {w} for w in line.lstrip("~").split()))
        allowed = allowed - words if line.startswith("~") else allowed | words
    return allowed


ALLOW, EPERM = 0x7FFF0000, 0x00050001  # actions as seccomp(2) has them


class Filter:
    """The unit's list of system calls, no new privileges and another user: put on a process before it becomes gantry."""

    def __init__(self):
        self.lib = ctypes.CDLL("libseccomp.so.2")
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.lib.seccomp_init(ctypes.c_uint32(EPERM)))
        for name in allowed_calls():
            number = self.lib.seccomp_syscall_resolve_name(name.encode())
            if number >= 0:
                assert self.lib.seccomp_rule_add(self.context, ctypes.c_uint32(ALLOW), number, 0) == 0, name

    def apply(self):
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        if self.lib.seccomp_load(self.context) != 0:  # sets no_new_privs too
            raise OSError("the filter cannot be set")


def check_filter(folder, picture):
    """Under the unit's list of system calls and without privileges objects are stored, found, decoded by the workers and rendered."""
    where = Path(folder) / "data"
    where.mkdir()
    os.chmod(folder, 0o755)
    if os.getuid() == 0:
        os.chown(where, 65534, 65534)
    # ptrace, with which leaks are looked for, is rightly not in the list
    leaks = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    with gantry.Server(where, env=leaks, prepare=Filter().apply) as server:
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        assert re.search(r"^Seccomp:\s+2$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M) and re.search(r"^CapEff:\s+0+$", status, re.M)
        server.store([picture])
        server.echo()
        path = path_of(server)
        status, _, body = server.http("GET", path + "/rendered", headers={"Accept": "image/jpeg"})
        assert status == 200 and body[:2] == b"\xff\xd8", (status, body[:300])
        status, _, body = server.http("GET", path, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.70'})
        assert status == 200, (status, body[:300])
        assert "codec" not in server.stderr(), server.stderr()


def path_of(server):
    found = server.get_json("/dicom-web/instances")[0]
    return "/dicom-web/studies/{}/series/{}/instances/{}".format(*(found[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")))


# ---- containers ----

# What the build with sanitizers wants besides, and what every Debian has.
OF_THE_BUILD = {"libc6", "libgcc-s1", "libasan8", "libubsan1", "libtsan2"}


def package_of(library):
    path = next(line.split()[-1] for line in gantry.run("ldconfig", "-p").stdout.splitlines() if line.split()[:1] == [library])
    real = os.path.realpath(path)
    for name in (real, real.removeprefix("/usr")):
        found = gantry.run("dpkg", "-S", name, check=False)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise AssertionError(f"{library} is of no package")


def check_image():
    """Every library of the binary is in the packages that the image gets; the nodes' configuration of the trial is understood."""
    listed = set((gantry.ROOT / "packaging" / "run.packages").read_text().split())
    needed = re.findall(r"NEEDED.*\[(.*)\]", gantry.run("readelf", "-d", gantry.GANTRY).stdout)
    missing = {package_of(library) for library in needed if not library.startswith("ld-linux")} - listed - OF_THE_BUILD
    assert not missing, f"packaging/run.packages lacks {missing}"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "node.yaml"
        text = (gantry.ROOT / "deploy" / "node.yaml").read_text()
        config.write_text(text.replace("/var/lib/gantry", folder).replace("@postgres/", "@127.0.0.1:1/"))
        tried = gantry.run(gantry.GANTRY, "cluster", "status", "--config", config, check=False, env={**os.environ, "DATABASE_PASSWORD": "p", "S3_SECRET_KEY": "s"})
        assert "127.0.0.1" in tried.stderr and tried.returncode != 64, tried.stderr  # it is read, and then there is no database


# ---- proxies ----

TOKEN = "0123456789abcdef" * 4


def server_of(data):
    data.mkdir()
    (data / "admin-token.sha256").write_text(hashlib.sha256(TOKEN.encode()).hexdigest() + "\n")
    server = gantry.Server(data, "--trusted-proxy", "127.0.0.0/8", auth=True)
    server.token = TOKEN
    return server


def https(proxy, method, path, body=None, headers=None, timeout=120):
    connection = http.client.HTTPSConnection("127.0.0.1", proxy.https_port, timeout=timeout, context=deployed.insecure())
    return gantry.answer_of(connection, method, path, body, {"Host": "images.example.org", "Authorization": f"Bearer {TOKEN}", **(headers or {})})


def check_passage(proxy, servers, large):
    """Large bodies go both ways, links name the outside, events arrive when they happen."""
    uid, study, data = large
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--\r\n"
    status, _, answer = https(proxy, "POST", "/dicom-web/studies", body, {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'})
    assert status == 200, (status, answer[:500])
    assert b"https://images.example.org/dicom-web/studies/" in answer, answer[:500]
    holder = next(s for s in servers if s.get_json(f"/dicom-web/studies?StudyInstanceUID={study}"))
    for other in servers:
        if other is not holder:
            other.store([data])
    status, headers, answer = https(proxy, "GET", f"/dicom-web/studies/{study}", headers={"Accept": 'multipart/related; type="application/dicom"'})
    assert status == 200 and data in answer, (status, headers)
    stream = http.client.HTTPSConnection("127.0.0.1", proxy.https_port, timeout=60, context=deployed.insecure())
    stream.request("GET", "/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "0", "Authorization": f"Bearer {TOKEN}"})
    line = stream.getresponse().fp.readline()
    stream.close()
    assert line, "no event came through"


class Readers(threading.Thread):
    """Asks through the proxy without end and remembers what failed."""

    def __init__(self, proxy, path):
        super().__init__(daemon=True)
        self.proxy, self.path, self.going, self.good, self.bad = proxy, path, True, 0, []

    def run(self):
        while self.going:
            try:
                status, _, body = https(self.proxy, "GET", self.path)
                if status == 200 and body:
                    self.good += 1
                else:
                    self.bad.append((status, body[:200]))
            except OSError as why:
                self.bad.append(why)


def check_death(proxy, servers, path):
    """One server is killed under readers: none of them sees it."""
    readers = [Readers(proxy, p) for p in (path + "/rendered", path + "/metadata", "/dicom-web/studies?PatientID=1")]
    for reader in readers:
        reader.start()
    end = time.monotonic() + 60
    while not all(r.good for r in readers) and time.monotonic() < end:
        time.sleep(0.1)
    before = sum(r.good for r in readers)
    servers[0].kill()
    end = time.monotonic() + 90
    time.sleep(3)
    while sum(r.good for r in readers) <= before and time.monotonic() < end:
        time.sleep(0.2)
    for reader in readers:
        reader.going = False
    for reader in readers:
        reader.join(130)
    assert not any(r.bad for r in readers), [r.bad[:3] for r in readers]
    assert before > 0 and sum(r.good for r in readers) > before, "the readers came to a stand"
    if isinstance(proxy, deployed.Haproxy):
        with gantry.Association(proxy.dicom_port, "GANTRY", ["1.2.840.10008.1.1"]) as association:
            assert association.echo() == 0


def check_proxy(kind, folder, picture, large):
    if not shutil.which(kind.__name__.lower()):
        print(f"{kind.__name__.lower()} is not installed: left out")
        return
    Path(folder).mkdir()
    servers = [server_of(Path(folder) / f"data{i}") for i in range(2)]
    try:
        for server in servers:
            server.store([picture])
        with kind(folder, [(s.http_port, s.dicom_port) for s in servers]) as proxy:
            check_passage(proxy, servers, large)
            check_death(proxy, servers, path_of(servers[1]))
    finally:
        for server in servers:
            server.kill()


def main():
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        os.chmod(here, 0o755)
        picture = objects.save(objects.image(objects.ramp()), here / "picture.dcm").read_bytes()
        big = objects.image(objects.ramp(3000, 4000))
        large = big.SOPInstanceUID, big.StudyInstanceUID, objects.save(big, here / "large.dcm").read_bytes()
        if shutil.which("systemd-analyze"):
            check_units(folder)
            (here / "unit").mkdir()
            check_filter(here / "unit", picture)
        else:
            print("systemd is not installed: left out")
        check_image()
        for kind in (deployed.Nginx, deployed.Haproxy):
            check_proxy(kind, here / kind.__name__, picture, large)
    print("ok")


main()
