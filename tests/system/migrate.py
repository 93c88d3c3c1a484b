"""gantry migrate: an archive goes to another place while its server stores and deletes, is cut short again and again, and arrives whole.

From a directory to a directory; on the cluster from a directory to PostgreSQL and S3, and from there back.
"""
import contextlib
import hashlib
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry  # noqa: E402
import objects  # noqa: E402

import cluster  # noqa: E402

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 12
CONFLICT, BUSY = 65, 75  # sysexits.h: EX_DATAERR, EX_TEMPFAIL
THERE = "holds an archive already"
STUDIES, OBJECTS = 12, 8  # what the source has before anything is copied


class Maker:
    """Objects of about 64 KiB, each with pixels of its own."""

    def __init__(self, folder, seed):
        self.path, self.random = Path(folder) / f"object{seed}.dcm", np.random.default_rng(seed)

    def make(self, like=None, **attributes):
        ds = objects.image(self.random.integers(0, 4096, (180, 180)), **attributes)
        if like:
            ds.StudyInstanceUID, ds.SeriesInstanceUID = like.StudyInstanceUID, like.SeriesInstanceUID
        return ds

    def bytes_of(self, ds):
        return objects.save(ds, self.path).read_bytes()


def run(*arguments, expect=0, timeout=300):
    done = subprocess.run([gantry.GANTRY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == expect, f"gantry {' '.join(map(str, arguments))} exited {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout + done.stderr


def contents(top, options):
    """Digests of all that an archive gives out."""
    with tempfile.TemporaryDirectory(dir=top) as folder:
        run("export", *options, Path(folder) / "out")
        return sorted(hashlib.sha256(p.read_bytes()).hexdigest() for p in Path(folder).rglob("*.dcm"))


def delete(server, ds, deepest="study"):
    path = f"/dicom-web/studies/{ds.StudyInstanceUID}"
    if deepest == "instance":
        path += f"/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    status, _, body = server.http("DELETE", path + "?reason=test")
    assert status in (200, 204), (status, body[:300])


def send(server, data):
    """Whatever becomes of it: a conflicting copy and one that is not understood are refused after they were kept."""
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--\r\n"
    return server.http("POST", "/dicom-web/studies", body=body, headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'})[0]


def fill(server, maker):
    """Studies, a conflicting copy, one in quarantine, and deletions of every depth."""
    studies = []
    for _ in range(STUDIES):
        first = maker.make()
        study = [first] + [maker.make(first) for _ in range(OBJECTS - 1)]
        server.store([maker.bytes_of(ds) for ds in study])
        studies.append(study)
    other = maker.make(studies[0][0], SOPInstanceUID=studies[0][0].SOPInstanceUID)
    assert send(server, maker.bytes_of(other)) in (200, 202, 409)
    send(server, bytes(128) + b"DICM" + bytes(range(256)))
    again = maker.bytes_of(studies[1][0])
    delete(server, studies[1][0])
    delete(server, studies[2][3], "instance")
    server.store([again])  # it comes back after it was deleted
    return studies


class Traffic(threading.Thread):
    """Stores and deletes while the archive is copied."""

    def __init__(self, server, maker, doomed):
        super().__init__(daemon=True)
        self.server, self.maker, self.doomed, self.going, self.failed, self.done = server, maker, list(doomed), True, None, 0

    def run(self):
        try:
            while self.going:
                first = self.maker.make()
                self.server.store([self.maker.bytes_of(first), self.maker.bytes_of(self.maker.make(first))])
                self.done += 1
                if self.done % 3 == 0 and self.doomed:
                    delete(self.server, self.doomed.pop()[0])
                time.sleep(0.02)
        except Exception as why:  # noqa: BLE001 the test tells it
            self.failed = why

    def stop(self):
        self.going = False
        self.join(180)
        if self.failed:
            raise self.failed


def cut_short(command, done, kills=KILLS):
    """Runs it again and again and kills each at a random moment, later by and by; how often it came to its end by itself. done: what it says when there is
    nothing left for it to do, for it may be killed after that and before its own end."""
    ended, start = 0, time.monotonic()
    run("migrate", "--help")
    base = time.monotonic() - start  # what a start takes on this machine now
    for i in range(kills):
        process = subprocess.Popen([gantry.GANTRY, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, errors = process.communicate(timeout=base * random.uniform(0.5, 1.5 + 10 * i / kills))
            assert process.returncode == 0 or (done and done in errors), errors[-1000:]
            ended += 1
            if done:
                break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    return ended


def compared(command):
    told = json.loads(run(*command))
    assert told["equal"] and told["from"] == told["to"], told
    assert told["damaged"] == told["lost"] == told["unknown"] == 0, told


def moves(top, source, target, server, doomed, maker):
    """From a place that is served to another."""
    move = ["migrate", "--from", source.path, "--to", target.path]
    traffic = Traffic(server, maker, doomed)
    traffic.start()
    assert cut_short(move, None) < KILLS, "it was never killed"
    if source.shared:  # what nodes change meanwhile is nothing to tell
        for _ in range(3):
            assert "all is well" in run("fsck", *source.options)
    assert "--finish" in run(*move)  # it ends whatever comes meanwhile
    assert "stop" in run(*move, "--finish", expect=BUSY)
    assert "being moved here" in run("fsck", *target.options, expect=BUSY)
    if not source.shared:
        a_stranger_is_refused(top, Maker(top, 3), source, target)  # a maker of its own: the other is at work
    traffic.stop()
    assert traffic.done > 3, "nothing was stored meanwhile"
    server.stop()
    run("compact", *source.options, "--dead", "5")  # volumes that were copied are no more
    if not source.shared:
        source.lose_a_study()
    before, log, gone = contents(top, source.options), source.events(), source.gone()
    assert "1.2.3.4|T" in gone, gone
    finish = [*move, "--finish", "--json"]
    # nodes are kept out by a lease, which who is killed has for some seconds more
    if not cut_short(finish, THERE, kills=1 if source.shared else KILLS) and target.arriving():
        compared(finish)
    assert THERE in run(*move, expect=CONFLICT)
    assert contents(top, target.options) == before
    assert target.events()[:len(log)] == log, "the log is another"
    assert target.gone() == gone, "whose studies were that are gone is not known"
    assert "all is well" in run("fsck", *target.options)


class Place:
    """Where an archive lies: a directory, or on the cluster a schema and a prefix that a directory's configuration names."""

    def __init__(self, folder, shared):
        self.folder, self.shared = Path(folder), shared
        self.path = cluster.configuration(folder) if shared else self.folder  # as --from and --to take it
        if not shared:
            self.config = self.folder.with_suffix(".yaml")
            self.config.write_text(f"data: {self.folder}\nvolume-mib: 1\n")
        self.options = ["--config", str(self.path if shared else self.config)]

    def arriving(self):
        sql = "SELECT count(*) FROM {s}settings WHERE name = 'arriving'"
        if self.shared:
            return int(cluster.home_of(self.folder).sql(sql.replace("{s}", "{s}.")))
        return sqlite3.connect(self.folder / "index.db").execute(sql.replace("{s}", "")).fetchone()[0]

    def events(self):
        columns = "seq, time_ms, type, actor, study_uid, series_uid, sop_instance_uid, detail"
        if self.shared:
            return cluster.home_of(self.folder).sql(f"SELECT {columns}, encode(hash, 'hex') FROM {{s}}.events ORDER BY seq").splitlines()
        rows = sqlite3.connect(self.folder / "index.db").execute(f"SELECT {columns}, lower(hex(hash)) FROM events ORDER BY seq")
        return ["|".join(map(str, row)) for row in rows]

    def lose_a_study(self):
        """One of a tenant's, deleted before: its UID stays the tenant's."""
        with contextlib.closing(sqlite3.connect(self.folder / "index.db")) as index, index:
            index.execute("INSERT INTO realms (id, tenant, site, department, created_ms) VALUES (77, 'T', '', '', 0)")
            index.execute("INSERT INTO gone_studies (study_uid, realm) VALUES ('1.2.3.4', 77)")

    def gone(self):
        sql = "SELECT g.study_uid, r.tenant FROM {s}gone_studies g JOIN {s}realms r ON r.id = g.realm ORDER BY g.study_uid"
        if self.shared:
            return cluster.home_of(self.folder).sql(sql.replace("{s}", "{s}.")).splitlines()
        return ["|".join(row) for row in sqlite3.connect(self.folder / "index.db").execute(sql.replace("{s}", ""))]


def a_stranger_is_refused(top, maker, source, target):
    """Neither another archive's beginning nor an archive of its own is taken for the target of this one."""
    other = Place(top / "other", False)
    with gantry.Server(None, named=other.options) as server:
        server.store([maker.bytes_of(maker.make())])
    assert "another archive's migration" in run("migrate", "--from", other.path, "--to", target.path, expect=CONFLICT)
    assert THERE in run("migrate", "--from", source.path, "--to", other.path, expect=CONFLICT)


def main():
    random.seed(4)
    with tempfile.TemporaryDirectory() as folder:
        top, maker = Path(folder), Maker(folder, 1)
        source, target = Place(top / "source", False), Place(top / "target", gantry.on_cluster())
        server = gantry.Server(None, named=source.options)
        try:
            studies = fill(server, maker)
            moves(top, source, target, server, studies[3:7], maker)
            if target.shared:
                back = Place(top / "back", False)
                server = gantry.Server(None, named=target.options)
                moves(top, target, back, server, studies[7:10], Maker(folder, 2))
        finally:
            if server.process.poll() is None:
                server.kill()
    print("ok")


main()
