"""Several nodes on PostgreSQL and S3 against one server with SQLite and a directory, interleaved, and the figures that docs/deploy/sizing.md is made of.

PARTS in the environment names some of ingest, requests, retrieve, index (default: all); ROUNDS how often ingest and retrieve are measured.
"""
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import gantry
import services
import traffic
import web
from cluster import Home
from proxy import S3Proxy

ROUNDS = int(os.environ.get("ROUNDS", "5"))
KIB, CT = 1024, 526 * 1024
# associations in all, pixel bytes, objects of each
CASES = [(8, 20 * KIB, 300), (1, 20 * KIB, 300), (8, CT, 24), (1, CT, 60)]
FLOOR = 0.6  # of SQLite's objects per CPU second: what two nodes must reach
QUIET = "  merge: {quiet-seconds: 2}\n"
seeds = iter(range(1, 1 << 20))


# ---- CPU and memory of processes ----

def cpu_of(pid):
    """Seconds of a process and of its children that ended, to the nanosecond while it lives."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return time.clock_gettime((~pid << 3) | 2) + (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


class Meter:
    """CPU seconds of groups of processes: own, postgres, swift."""

    def __init__(self, servers, there=None):
        self.groups = {"own": lambda: [p for s in servers for p in services.tree(s.process.pid)]}
        if there:
            self.groups["postgres"] = lambda: services.tree(there.postgres.process.pid())
            self.groups["swift"] = lambda: [p for process in there.swift.processes for p in services.tree(process.pid())]

    def read(self):
        return {name: sum(map(cpu_of, pids())) for name, pids in self.groups.items()}

    def since(self, before):
        now = self.read()
        return {name: now[name] - before[name] for name in now}


def metrics(server):
    """Each by its name, all of its labels together."""
    text = server.http("GET", "/metrics")[2].decode()
    values = {}
    for name, value in re.findall(r"^gantry_(\w+)(?:\{[^}]*\})? (\S+)$", text, re.M):
        values[name] = values.get(name, 0) + float(value)
    return values


def load(servers, case):
    """Objects per second of all of them; the associations are shared out."""
    associations, pixels, objects = case
    each = [associations // len(servers) + (i < associations % len(servers)) for i in range(len(servers))]
    start = time.monotonic()
    senders = [subprocess.Popen([gantry.LOAD, "127.0.0.1", str(s.dicom_port), s.aet, str(n), str(objects), str(pixels), str(next(seeds))], stdout=subprocess.DEVNULL)
               for s, n in zip(servers, each) if n]
    assert all(s.wait() == 0 for s in senders), "objects failed"
    return associations * objects / (time.monotonic() - start)


# ---- who is measured ----

class Archive:
    def __init__(self, name, servers, there=None, home=None):
        self.name, self.servers, self.there, self.home = name, servers, there, home
        self.meter, self.figures = Meter(servers, there), {}

    def note(self, what, value):
        self.figures.setdefault(what, []).append(value)

    def median(self, what):
        return statistics.median(self.figures[what]) if what in self.figures else float("nan")

    def wal(self):
        return int(self.home.sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")) if self.home else 0


def start_cluster(folder, name, nodes, there, more="", endpoint=None, merge=""):
    home = Home(endpoint=endpoint)
    servers = []
    for i in range(nodes):
        data = Path(folder) / f"{name}-{i}"
        data.mkdir()
        config = home.write(Path(folder) / f"{name}-{i}.yaml", data, node=f"n{i}", more=more + merge)
        servers.append(gantry.Server(data, named=["--config", str(config)]))
    return Archive(name, servers, there, home)


def stop(archives):
    for a in archives:
        for s in a.servers:
            s.stop()
        if a.home:
            a.home.drop()


# ---- ingest ----

def ingest_once(a, case):
    wal, before = a.wal(), a.meter.read()
    rate = load(a.servers, case)
    used, objects = a.meter.since(before), case[0] * case[2]
    a.note((case, "rate"), rate)
    a.note((case, "wal"), (a.wal() - wal) / objects)
    for who, seconds in used.items():
        a.note((case, who), 1e6 * seconds / objects)


def ingest(folder, there):
    single = Archive("SQLite, directory", [gantry.Server(Path(folder) / "sqlite")])
    index = start_cluster(folder, "two nodes, index", 2, there)
    bucket = start_cluster(folder, "two nodes, bucket", 2, there, "  small-volumes: bucket\n")
    archives = [single, index, bucket]
    try:
        for a in archives:
            load(a.servers, (4, 20 * KIB, 100))
        for _ in range(ROUNDS):
            for case in CASES:
                for a in archives:
                    ingest_once(a, case)
        show_ingest(archives)
    finally:
        stop(archives)


def show_ingest(archives):
    print(f"\nIngest, medians of {ROUNDS} interleaved rounds. CPU in us an object: of the gantry processes, of PostgreSQL, of the S3 service. WAL in bytes an object.")
    single = archives[0]
    for case in CASES:
        print(f"{case[0]} sender{'s' if case[0] > 1 else ''}, {case[1] // KIB} KiB")
        for a in archives:
            own = a.median((case, "own"))
            per_cpu, least = 1e6 / own, FLOOR * 1e6 / single.median((case, "own"))
            verdict = "" if a is single else f"  {100 * per_cpu / (least / FLOOR):4.0f} % of SQLite's (at least {100 * FLOOR:.0f} %: {'held' if per_cpu >= least else 'MISSED'})"
            print(f"  {a.name:20} {a.median((case, 'rate')):6.0f} objects/s  own {own:6.0f}  postgres {a.median((case, 'postgres')):6.0f}  swift {a.median((case, 'swift')):6.0f}"
                  f"  WAL {a.median((case, 'wal')):8.0f}  {per_cpu:6.0f} objects per CPU second{verdict}")
    small, large = (8, 20 * KIB, 300), (8, CT, 24)
    for a in archives:
        per_byte = (a.median((large, "own")) - a.median((small, "own"))) / (large[1] - small[1])
        print(f"{a.name}: {per_byte * 1e3:.2f} CPU seconds a GB and {a.median((small, 'own')) - per_byte * small[1]:.0f} us an object beside")


# ---- requests to the bucket ----

def synth_study(folder, number, slices):
    out = Path(folder) / f"ct{number}"
    gantry.run(gantry.GANTRY, "synth", "--out", out, "--kind", "chest-ct", "--size", 512, "--slices", slices, "--seed", number)
    return sorted(out.rglob("*.dcm"))


def storescu(server, *studies):
    senders = [subprocess.Popen(["storescu", "-aec", server.aet, "-xe", "127.0.0.1", str(server.dicom_port), *map(str, files)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for files in studies]
    assert all(s.wait() == 0 for s in senders), "storescu failed"


def stow(server, files):
    for at in range(0, len(files), 20):
        server.store([f.read_bytes() for f in files[at:at + 20]])


def wait_merged(home, seconds=40):
    """Until nothing small is left that is to be merged."""
    end = time.monotonic() + seconds
    waiting = f"SELECT count(*) FROM {{s}}.volumes WHERE size < {4 * CT} AND removed_ms IS NULL"
    while int(home.sql(waiting)) and time.monotonic() < end:
        time.sleep(0.3)


def requests_of(a, proxy, what, objects, work):
    server = a.servers[0]
    proxy.forget()
    before = metrics(server)["s3_requests_total"]
    work()
    sent = sum(proxy.counts.values())
    cpu, size = a.meter.read(), float(a.home.sql(f"SELECT coalesce(sum(size), 0) FROM {{s}}.volumes WHERE size < {4 * CT} AND removed_ms IS NULL"))
    wait_merged(a.home)
    used, told = a.meter.since(cpu), metrics(server)["s3_requests_total"] - before
    counted = sum(proxy.counts.values())
    print(f"  {a.name:8} {what:18} {objects:4} objects: {sent / objects:6.3f} requests each while sending, {counted / objects:6.3f} with merging; the node says {told / objects:6.3f}; {dict(proxy.counts)}")
    if size:
        for who in ("own", "postgres", "swift"):
            a.note(f"merge {who}", used[who] / size * 1e9)


def requests(folder, there):
    one, four, web_study = (synth_study(folder, i, 75) for i in (1, 2, 3))
    print("\nRequests to the bucket for a patient's two CT studies of 512 x 512, counted before the service and by the node")
    for name, more in (("index", ""), ("bucket", "  small-volumes: bucket\n")):
        with S3Proxy(there.swift.endpoint) as proxy:
            a = start_cluster(folder, name, 1, there, more, proxy.endpoint, QUIET)
            try:
                node = a.servers[0]
                requests_of(a, proxy, "storescu", len(one), lambda: storescu(node, one))
                requests_of(a, proxy, "four storescu", len(four), lambda: storescu(node, *(four[i::4] for i in range(4))))
                requests_of(a, proxy, "STOW-RS", len(web_study), lambda: stow(node, web_study))
                if "merge own" in a.figures:
                    print(f"  merging: {a.median('merge own'):.1f} CPU seconds a GB of the node, {a.median('merge postgres'):.1f} of PostgreSQL, {a.median('merge swift'):.1f} of the S3 service")
            finally:
                stop([a])


# ---- retrieve ----

class Reader(web.Contender):
    def __init__(self, archive, server):
        super().__init__(archive.name, server)
        server.cpu_s = lambda: cpu_of(server.process.pid)


SHOWN = ["frame ms", "frame CPU ms", "CT ms", "CT CPU ms", "study GB/s", "study CPU s/GB", "metadata ms", "metadata CPU ms"]


def read_once(c):
    web.frames(c, 600)
    web.instances(c, 600)
    web.study(c, 20)
    before = c.server.cpu_s()
    ms, _, _, _ = web.fetch(c.server, [f"/dicom-web/studies/{web.load_uids(2, 0, 0)[0]}/metadata"] * 200, web.JSON, "gzip")
    c.note("metadata ms", statistics.median(ms))
    c.note("metadata CPU ms", 1e3 * (c.server.cpu_s() - before) / 200)


def fill_for_reading(server, folder):
    big = Path(folder) / "big.dcm"
    if not big.exists():
        web.multi_frame(big, web.BIG, web.FRAMES, web.ROWS)
    web.store(server, big)
    web.load(server, 100, CT, 1)
    web.load(server, 100, 10 * KIB, 2)


def cold(a):
    """The first reading by the node that stored nothing, and what the cache makes of it."""
    node = a.servers[1]
    study = [f"/dicom-web/studies/{web.load_uids(1, 0, 0)[0]}"]
    frame = [f"/dicom-web/studies/{web.BIG}.1/series/{web.BIG}.2/instances/{web.BIG}/frames/150"]
    before, cpu = metrics(node), a.meter.read()
    (first, ), _, _, size = web.fetch(node, study, web.MULTIPART)
    after, used = metrics(node), a.meter.since(cpu)
    (again, ), _, _, _ = web.fetch(node, study, web.MULTIPART)
    ms = [web.fetch(node, frame, web.OCTETS)[0][0] for _ in range(2)]
    asked = after["s3_requests_total"] - before["s3_requests_total"]
    print(f"a node that stored nothing: a study of {size / 1e6:.0f} MB {first:.0f} ms with {asked:.0f} requests ({used['own'] / size * 1e9:.2f} CPU seconds a GB), then {again:.0f} ms from its cache;"
          f" a frame {ms[0]:.1f} ms, then {ms[1]:.1f} ms")


def retrieve(folder, there):
    single = Archive("SQLite, directory", [gantry.Server(Path(folder) / "read-sqlite")])
    nodes = start_cluster(folder, "node, cache", 2, there, merge=QUIET)
    try:
        for a in (single, nodes):
            fill_for_reading(a.servers[0], folder)
        wait_merged(nodes.home)
        cold(nodes)
        readers = [Reader(single, single.servers[0]), Reader(nodes, nodes.servers[0])]
        for c in readers:
            read_once(c)  # fills caches
            c.figures.clear()
        for _ in range(ROUNDS):
            for c in readers:
                read_once(c)
        print(f"\nRetrieve, medians of {ROUNDS} interleaved rounds: a frame of {web.FRAMES}, a CT instance, a CT study of 100, its metadata")
        print(f"{'':18}" + "".join(f"{c.name:>20}" for c in readers))
        for what in SHOWN:
            print(f"{what:18}" + "".join(f"{c.median(what):20.3f}" for c in readers))
    finally:
        stop([single, nodes])


# ---- bytes of the index ----

def index_bytes(home):
    home.sql("VACUUM ANALYZE")
    rows = home.sql("SELECT relname, pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = '{s}' AND relkind = 'r' "
                    "AND relname <> 'volume_pieces'")
    return {name: int(size) for name, size in (line.split("|") for line in rows.splitlines())}


def small_study(number, series, instances):
    """Objects of one study, as bytes of Part 10 files; headers are the least that CT images have."""
    study = f"{traffic.ROOT}.7{number}"
    return [traffic.part10(sop, traffic.data_set(study, f"{study}.{s}", sop, bytes(128), f"P{number}", i, "Chest with contrast"))
            for s in range(series) for i in range(instances) for sop in [f"{study}.{s}.{i}"]]


def grown(home, what, count, work):
    before, wal = index_bytes(home), int(home.sql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"))
    work()
    after = index_bytes(home)
    by_table = {name: (after[name] - before.get(name, 0)) / count for name in after if after[name] - before.get(name, 0) >= 10 * count}
    total = sum(after.values()) - sum(before.values())
    print(f"  {what}: {total / count:6.0f} bytes, of which " + ", ".join(f"{name} {size:.0f}" for name, size in sorted(by_table.items(), key=lambda r: -r[1])))
    return total / count


def index(folder, there):
    """Differences, so that what each table has at least counts for nothing."""
    a = start_cluster(folder, "index-bytes", 1, there)
    node = a.servers[0]
    try:
        print("\nBytes of the index in PostgreSQL, all tables and their indexes after VACUUM")
        node.store([o for n in range(50) for o in small_study(n, 2, 2)])
        instance = grown(a.home, "an instance more in its series (C-STORE, a CT header)", 8000, lambda: load(a.servers, (8, 1 * KIB, 1000)))
        series = grown(a.home, "a series of one more in its study", 3000, lambda: [node.store(small_study(n, 100, 1)) for n in range(1000, 1030)])
        study = grown(a.home, "a study of one instance more", 2000, lambda: [node.store([o for n in range(at, at + 100) for o in small_study(n, 1, 1)]) for at in range(2000, 4000, 100)])
        print(f"  so: an instance {instance:.0f} (its series' share included), a series {series - instance:.0f}, a study {study - series:.0f}")
    finally:
        stop([a])


PARTS = {"ingest": ingest, "requests": requests, "retrieve": retrieve, "index": index}


def main():
    try:
        services.need_programs()
    except services.Missing as e:
        print(f"SKIP {e}: scripts/install-packages.sh packaging/test.packages")
        return
    with tempfile.TemporaryDirectory(prefix="gantry-bench-", dir=os.environ.get("BENCH_DIR", services.folder_with_attributes())) as folder:
        there = services.Services(Path(folder) / "services")
        os.chmod(folder, 0o755)
        there.start()
        os.environ["GANTRY_TEST_SERVICES"] = str(there.folder)
        try:
            print(f"load of the machine at the beginning {os.getloadavg()[0]:.1f}")
            for part in os.environ.get("PARTS", " ".join(PARTS)).split():
                PARTS[part](folder, there)
            print(f"load of the machine at the end {os.getloadavg()[0]:.1f}")
        finally:
            there.remove()
