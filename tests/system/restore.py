"""An archive of several nodes goes back to a point in time, as docs/deploy/backup.md says: pg_basebackup, archived logs, the bucket as it is.

What was there at that time is served. What was stored after it lies in the bucket and is found again; what was deleted after it stays deleted. No volume of
the bucket is written over by an index that was set back.
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import cluster  # noqa: E402
import gantry  # noqa: E402
import objects  # noqa: E402
import services  # noqa: E402


class Archived(services.Postgres):
    """A PostgreSQL that archives its log, or one that is restored from a base and that log up to a time."""

    def __init__(self, folder, port, logs, recovery=None):
        settings = {"wal_level": "replica", "archive_mode": "on", "archive_command": f"'test ! -f {logs}/%f && cp %p {logs}/%f'", **(recovery or {})}
        (Path(folder) / "logs").mkdir(parents=True, exist_ok=True)
        super().__init__(folder, port, quick=True, settings=settings)

    def up(self):
        self.start()
        self.ready()
        return self


def owned(path):
    path.mkdir(parents=True, exist_ok=True)
    services.give_away(path)
    return path


def base_backup(postgres, to):
    command = [services.postgres_program("pg_basebackup"), "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "gantry", "-D", str(to), "-X", "none", "-c", "fast", "--no-sync"]
    subprocess.run(services.unprivileged(command), check=True, capture_output=True, cwd="/")


def restored(top, base, logs, until):
    """Another PostgreSQL from the base, with the archived logs up to a time."""
    folder = owned(top / "restored")
    postgres = Archived(folder, services.free_ports(1)[0], owned(top / "logs2"))
    shutil.copytree(base, postgres.data, symlinks=True)
    subprocess.run(["chown", "-R", "--reference", str(base), str(postgres.data)], check=True)
    postgres.data.chmod(0o700)
    (postgres.data / "recovery.signal").touch()
    with open(postgres.data / "postgresql.conf", "a", encoding="utf-8") as f:
        f.write(f"port = {postgres.port}\narchive_command = 'true'\nrestore_command = 'cp {logs}/%f %p'\nrecovery_target_time = '{until}'\nrecovery_target_action = 'promote'\n")
    (folder / "postgres.made").touch()
    postgres.start()
    postgres.process.wait_ready()
    services.wait_for("the restored PostgreSQL", lambda: postgres.sql("SELECT pg_is_in_recovery()", "postgres", check=False).stdout.strip() == "f")
    return postgres


def run(*arguments, expect=0):
    done = subprocess.run([gantry.GANTRY, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == expect, f"gantry {arguments[0]} exited {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout + done.stderr


class Archive:
    def __init__(self, top, postgres):
        self.top = top
        # small groups that are kept in the index go back with it: here all go to the bucket
        self.home = cluster.Home(url=postgres.url, store={"small-volumes": "bucket"})
        self.config = self.home.write(top / "node.yaml", top / "data")

    def on(self, postgres):
        self.home.url = postgres.url
        self.home.write(self.config, self.top / "data")

    def options(self):
        return ["--config", str(self.config)]

    def serve(self):
        return gantry.Server(None, named=self.options())

    def contents(self):
        with tempfile.TemporaryDirectory(dir=self.top) as folder:
            run("export", *self.options(), Path(folder) / "out")
            return {hashlib.sha256(p.read_bytes()).hexdigest() for p in Path(folder).rglob("*.dcm")}

    def bucket(self):
        return {key: hashlib.sha256(self.home.bucket.get(key)).hexdigest() for key in self.home.bucket.keys_of(self.home.prefix)}


def study(folder, n):
    """(Study Instance UID, Part 10 files)"""
    made = [objects.image(objects.ramp(64 + n, 64)) for _ in range(3)]
    for ds in made:
        ds.StudyInstanceUID, ds.SeriesInstanceUID = made[0].StudyInstanceUID, made[0].SeriesInstanceUID
    return made[0].StudyInstanceUID, [objects.save(ds, folder / "object.dcm").read_bytes() for ds in made]


def digests(*studies):
    return {hashlib.sha256(data).hexdigest() for _, files in studies for data in files}


def live(top, archive, postgres):
    """A life: before the base, after it, the point in time, and what comes after that."""
    before, deleted, between, after = (study(top, n) for n in range(4))
    with archive.serve() as server:
        server.store(before[1])
        server.store(deleted[1])
        base_backup(postgres, top / "base")
        server.store(between[1])
        until = postgres.sql("SELECT clock_timestamp()").stdout.strip()
        time.sleep(0.2)
        server.store(after[1])
        status, _, body = server.http("DELETE", f"/dicom-web/studies/{deleted[0]}?reason=wrong+patient")
        assert status in (200, 204), (status, body)
    postgres.sql("SELECT pg_switch_wal()")
    services.wait_for("the log's archiving", lambda: postgres.sql("SELECT last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1) FROM pg_stat_archiver").stdout.strip() in ("t", ""))
    return until, before, deleted, between, after


def with_nothing_but_the_bucket(archive, expected):
    """The index is gone and another is made of the volumes; and of an index that is there too."""
    for lost in (True, False):
        if lost:
            archive.home.sql("SET client_min_messages = error; DROP SCHEMA {s} CASCADE")
        run("reindex", *archive.options())
        assert archive.contents() == expected
        assert "all is well" in run("fsck", *archive.options())
    assert archive.home.sql("SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE '{s}%'").strip() == "1"


def main():
    if not cluster.settings():
        gantry.skip("PostgreSQL and the S3 service are not started: tests/run starts them, or scripts/dev-services")
    with tempfile.TemporaryDirectory(dir=services.folder_with_attributes()) as folder:
        top = Path(folder)
        top.chmod(0o755)
        owned(top / "logs"), owned(top / "base")
        first = Archived(owned(top / "first"), services.free_ports(1)[0], top / "logs").up()
        second = None
        try:
            archive = Archive(top, first)
            until, before, deleted, between, after = live(top, archive, first)
            first.stop()
            second = restored(top, top / "base", top / "logs", until)
            archive.on(second)
            kept = archive.bucket()
            there = archive.contents()
            assert there == digests(before, deleted, between), "the index is not that of the point in time"
            late = study(top, 9)
            with archive.serve() as server:  # before anything is repaired: its volumes get numbers that the bucket has not
                server.store(late[1])
                assert "stop them first" in run("reindex", *archive.options(), expect=75)
            told = run("fsck", *archive.options(), expect=1)
            assert "does not know" in told, told
            run("fsck", *archive.options(), "--repair", expect=1)
            assert archive.contents() == digests(before, between, after, late), "what was stored after it is not found again, or what was deleted came back"
            assert "all is well" in run("fsck", *archive.options())
            now = archive.bucket()
            assert all(now.get(key, digest) == digest for key, digest in kept.items()), "a volume was written over"
            with_nothing_but_the_bucket(archive, digests(before, between, after, late))
            archive.home.drop()
        finally:
            for postgres in (first, second):
                if postgres:
                    postgres.stop()
    print("ok")


main()
