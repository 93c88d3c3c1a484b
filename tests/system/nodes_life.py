#!/usr/bin/env python3
"""The life of nodes over one index: one token and one set of sessions, what status tells, names, work that one of them does, a stalled database, newer
schemas, commands beside and against them."""
import json
import os
import signal
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
from cluster import Home, settings  # noqa: E402
from gantry import GANTRY, Server  # noqa: E402
from proxy import Proxy, server_of  # noqa: E402

class Cluster:
    def __init__(self, top):
        self.top, self.wire = Path(top), Proxy(*server_of(settings()["postgres"]["url"]))
        self.home = Home()

    def configure(self, name, data=None, stalling=False, more=""):
        data = self.top / (data or name)
        data.mkdir(exist_ok=True)
        path = self.home.write(data / f"{name}.yaml", data, node=name, more=more)
        if stalling:
            host, port = server_of(self.home.url)
            path.write_text(path.read_text().replace(f"{host}:{port}/", f"127.0.0.1:{self.wire.port}/"))
        return path

    def start(self, name, auth=True, **how):
        config = self.configure(name, **how)
        return Server(config.parent, named=["--config", str(config)], auth=auth)

    def run(self, *arguments, name="one", expect=0):
        config = self.top / name / f"{name}.yaml"
        done = subprocess.run([GANTRY, arguments[0], "--config", str(config), *arguments[1:]], capture_output=True, text=True, timeout=180)
        assert expect is None or done.returncode == expect, f"{arguments}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout + done.stderr

    def status(self, expect=None):  # 1: with warnings, such as of a node that an earlier test left behind
        return json.loads(self.run("cluster", "--json", "status", expect=expect))


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.1)


def readyz(server, timeout=60):
    status, _, body = server.http("GET", "/readyz", timeout=timeout)
    return status, json.loads(body)


def one_token_and_one_set_of_sessions(cluster, one, two):
    assert one.token and not two.token, "whoever comes first makes the token"
    assert one.http("GET", "/api/figures")[0] == 200
    two.token = one.token
    assert two.http("GET", "/api/figures")[0] == 200
    bare = {"Authorization": ""}
    assert two.http("GET", "/api/figures", headers=bare)[0] == 401
    status, headers, _ = one.http("POST", "/api/session", body=json.dumps({"token": one.token}), headers={**bare, "Content-Type": "application/json"})
    assert status == 200, status
    cookie = {**bare, "Cookie": headers["Set-Cookie"].split(";")[0]}
    assert two.http("GET", "/api/figures", headers=cookie)[0] == 200, "signed in at one node is signed in at all"
    assert two.http("DELETE", "/api/session", headers=cookie)[0] == 204
    assert two.http("GET", "/api/figures", headers=cookie)[0] == 401
    wait_for(lambda: one.http("GET", "/api/figures", headers=cookie)[0] == 401)


def a_new_token_counts_everywhere(cluster, one, two):
    old, new = one.token, cluster.run("cluster", "token").split()[1]
    assert new != old
    for server in (one, two):
        wait_for(lambda s=server: s.http("GET", "/api/figures", headers={"Authorization": f"Bearer {new}"})[0] == 200)
        assert server.http("GET", "/api/figures", headers={"Authorization": f"Bearer {old}"})[0] == 401
        server.token = new


def status_names_who_is_there(cluster, one, two):
    wait_for(lambda: [n["state"] for n in cluster.status()["nodes"]] == ["ready", "ready"])
    nodes = {n["name"]: n for n in cluster.status(expect=0)["nodes"]}
    assert nodes["one"]["http"].endswith(f":{one.http_port}") and nodes["two"]["dicom"].endswith(f":{two.dicom_port}")
    text = cluster.run("cluster", "status")
    assert "one" in text and "ready" in text and "postgresql" in text, text
    assert one.get_json("/api/cluster")["nodes"][1]["name"] == "two"

    def told():
        metrics = two.http("GET", "/metrics")[2].decode()
        return all(line in metrics for line in ('gantry_nodes{state="ready"} 2', 'gantry_node_info{node="two"', "gantry_event_lag 0"))

    wait_for(told)


def a_name_is_one_nodes(cluster, one, two):
    try:
        cluster.start("one", data="elsewhere").stop()
        raise AssertionError("a second node of the same name started")
    except RuntimeError as e:
        assert "a node named one works on this archive already" in str(e), e
    try:
        cluster.start("three", data="one").stop()
        raise AssertionError("a second node in the same directory started")
    except RuntimeError as e:
        assert "is in use by process" in str(e), e


def commands_work_beside_nodes(cluster, one, two):
    cluster.run("compact")
    assert "all is well" in cluster.run("fsck")
    assert not list((cluster.top / "one" / "commands").iterdir()), "a command left its directory behind"


def a_series_is_prepared_once(cluster, one, two):
    ds = objects.image(np.zeros((16, 16)))
    path = cluster.top / "a.dcm"
    for i in range(6):
        ds.SOPInstanceUID, ds.InstanceNumber = objects.generate_uid(), i
        (one, two)[i % 2].store([objects.save(ds, path).read_bytes()])
    prepared = "SELECT count(*) FROM {s}.series_metadata"
    wait_for(lambda: cluster.home.sql(prepared).strip() == "1")
    wait_for(lambda: not [job for job in cluster.status()["jobs"] if job["kind"] == "prepare"])
    followers = [lease["node"] for lease in cluster.status()["leases"] if lease["name"] == "prepare"]
    assert len(followers) == 1, followers


def a_stalled_database_is_told_soon(cluster, one, two):
    with cluster.start("stalling", stalling=True, auth=False) as server:
        wait_for(lambda: readyz(server)[0] == 200)
        cluster.wire.stalled = True
        time.sleep(1.1)
        start = time.monotonic()
        status, told = readyz(server)
        took = time.monotonic() - start  # a statement is given 50 s
        assert status == 503 and took < 30, f"{status} after {took:.1f} s"
        assert any("has not answered within a second" in reason for reason in told["reasons"]), told
        wait_for(lambda: readyz(one)[0] == 200)
        cluster.wire.stalled = False
        wait_for(lambda: readyz(server)[0] == 200)


def a_database_that_does_not_answer_delays_no_end(cluster, one, two):
    part = objects.save(objects.image(np.zeros((16, 16))), cluster.top / "end.dcm").read_bytes()
    with cluster.start("ending", stalling=True, auth=False) as server:
        cluster.wire.stalled = True
        storing = threading.Thread(target=lambda: server.store([part], expect=503), daemon=True)
        storing.start()
        time.sleep(1)
        start = time.monotonic()
        try:
            assert server.stop() == 0
        finally:
            cluster.wire.stalled = False
        took = time.monotonic() - start
        assert took < 45, f"{took:.1f} s"  # a statement's own deadline is 50 s
        storing.join(60)


def a_node_that_stood_still_writes_nothing_beside_a_lone_command(cluster, one, two):
    objects_of = [objects.image(np.full((16, 16), i)) for i in range(3)]
    parts = [objects.save(ds, cluster.top / f"still-{i}.dcm").read_bytes() for i, ds in enumerate(objects_of)]
    seen = "SELECT seen_ms FROM {s}.nodes WHERE name = 'still'"
    with cluster.start("still", auth=False) as server:
        server.store(parts[:1])
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            wait_for(lambda: [n["state"] for n in cluster.status()["nodes"] if n["name"] == "still"] != ["ready"])
            last = cluster.home.sql(seen)
            cluster.home.sql("INSERT INTO {s}.leases VALUES ('alone', 'command:elsewhere', 1, 99999999999999) ON CONFLICT (name) DO UPDATE SET "
                             "node = excluded.node, until_ms = excluded.until_ms")
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        server.store(parts[1:2], expect=503)  # what comes at once
        status, told = readyz(server)
        assert status == 503 and any("works on this archive alone" in reason for reason in told["reasons"]), told
        server.store(parts[2:], expect=503)
        assert cluster.home.sql(seen) == last, "it said that it is there"
        cluster.home.sql("UPDATE {s}.leases SET until_ms = 0 WHERE name = 'alone'")
        wait_for(lambda: readyz(server)[0] == 200)
        server.store(parts)


def newer_schemas(cluster, one, two):
    schema = cluster.status()["schema_known"]
    cluster.home.sql(f"INSERT INTO {{s}}.migrations VALUES ({schema + 1}, 'of the next version', 0)")
    try:
        with cluster.start("behind", auth=False) as server:
            wait_for(lambda: readyz(server)[0] == 200)  # one version apart is worked with
            assert server.get_json("/dicom-web/studies")
        cluster.home.sql(f"INSERT INTO {{s}}.migrations VALUES ({schema + 2}, 'of the one after it', 0)")
        wait_for(lambda: readyz(one)[0] == 503 and any("upgrade this node" in reason for reason in readyz(one)[1]["reasons"]))
        try:
            cluster.start("too-old").stop()
            raise AssertionError("a program two versions behind started")
        except RuntimeError as e:
            assert "schema" in str(e), e
    finally:
        cluster.home.sql(f"DELETE FROM {{s}}.migrations WHERE number > {schema}")
    wait_for(lambda: readyz(one)[0] == 200)


def who_ends_is_missed(cluster, one, two):
    two.kill()
    again = cluster.start("two")  # at once: the same directory is the same node
    again.kill()
    cluster.home.sql("UPDATE {s}.nodes SET seen_ms = seen_ms - 60000 WHERE name = 'two'")  # a minute passes
    assert "node two was last heard of" in cluster.run("cluster", "status", expect=1)
    assert "lives" in cluster.run("cluster", "forget", "one", expect=65)
    cluster.run("cluster", "forget", "two")
    assert [n["name"] for n in cluster.status()["nodes"] if n["state"] == "ready"] == ["one"]


TESTS = (one_token_and_one_set_of_sessions, a_new_token_counts_everywhere, status_names_who_is_there, a_name_is_one_nodes, commands_work_beside_nodes,
         a_series_is_prepared_once, a_stalled_database_is_told_soon,
         a_database_that_does_not_answer_delays_no_end,
         a_node_that_stood_still_writes_nothing_beside_a_lone_command, newer_schemas, who_ends_is_missed)


def main():
    if not settings():
        gantry.skip("PostgreSQL and the S3 service are not started: tests/run starts them, or scripts/dev-services")
    with tempfile.TemporaryDirectory(prefix="gantry-life-") as top:
        cluster = Cluster(top)
        one, two = cluster.start("one"), cluster.start("two")
        try:
            for test in TESTS:
                start = time.monotonic()
                test(cluster, one, two)
                print(f"ok {test.__name__.replace('_', ' ')} ({time.monotonic() - start:.1f} s)", flush=True)
            assert one.stop() == 0
        finally:
            for server in (one, two):
                if server.process.poll() is None:
                    server.kill()
                print(server.stderr()[-3000:], file=sys.stderr)
            cluster.wire.close()


main()
