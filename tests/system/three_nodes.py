#!/usr/bin/env python3
"""Three nodes under four senders, with readers and subscribers on all of them, while nodes are killed, PostgreSQL stops and the bucket misbehaves:
no acknowledged object is lost or served wrong, no event is missed or out of order, senders are refused in a way that they try again, and all recovers
by itself.

Usage: three_nodes.py [ROUNDS [NAME...]]. Each round breaks something (NAME: only these), heals it, and waits until every node stores and serves again.
"""
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry  # noqa: E402
import traffic  # noqa: E402
from cluster import Home, settings  # noqa: E402
from proxy import Fault, Proxy, S3Proxy, server_of  # noqa: E402
from services import Postgres, free_ports  # noqa: E402

RECOVERY_S = 90  # until all stores and serves again on all nodes
SETTLE_S = 1.5   # what was asked for before that may still fail
# what is kept where differs from node to node, so that every way is taken; small volumes are merged all the while
COMMON = {"cache-mib": 64, "merge": "{quiet-seconds: 3, age-seconds: 10, keep-removed-seconds: 20}"}
STORES = [COMMON, {**COMMON, "small-mib": 1}, {**COMMON, "small-volumes": "bucket"}]
S3_TIMES = {"connect-ms": 1000, "stall-ms": 2000, "request-ms": 10000, "retry-ms": 5000}


class Node(gantry.Server):
    def __init__(self, name, config, data):
        self.name, self.config = name, config
        super().__init__(data, named=["--config", str(config)])


class Cluster:
    """PostgreSQL of its own, flushing; the shared S3 service behind a proxy; the first node reaches PostgreSQL through a proxy too."""

    def __init__(self, top):
        self.top = Path(top)
        self.top.chmod(0o755)
        (self.top / "logs").mkdir()
        self.postgres = Postgres(self.top, free_ports(1)[0])
        self.postgres.start()
        self.postgres.ready()
        self.s3 = S3Proxy(settings()["s3"]["endpoint"])
        self.wire = Proxy(*server_of(self.postgres.url))
        self.home = Home(url=self.postgres.url, endpoint=self.s3.endpoint)
        self.nodes, self.restarts = [], 0
        for i, store in enumerate(STORES):
            self.nodes.append(self.start(f"node{i + 1}", store, self.wire.port if i == 0 else None))

    def start(self, name, store, port=None):
        config, data = self.top / f"{name}.yaml", self.top / name
        data.mkdir(exist_ok=True)
        self.home.write(config, data, node=name, store=store, s3_more=S3_TIMES)
        text = config.read_text().replace("database:\n", "database:\n  statement-seconds: 5\n")
        if port:
            text = text.replace(f":{self.postgres.port}/", f":{port}/")
        config.write_text(text)
        return Node(name, config, data)

    def restart(self, i):
        """Another process in a node's place."""
        old = self.nodes[i]
        self.nodes[i] = Node(old.name, old.config, old.data)
        self.restarts += 1

    def heal(self):
        self.s3.heal()
        self.wire.heal()
        for i, node in enumerate(self.nodes):
            if node.process.poll() is not None:
                self.restart(i)

    def close(self):
        for node in self.nodes:
            if node.process.poll() is None:
                node.kill()
        self.s3.close()
        self.wire.close()
        self.home.drop()
        self.postgres.stop(signal.SIGQUIT)


def kill_a_node(c):
    i = random.randrange(len(c.nodes))
    c.nodes[i].kill()
    time.sleep(random.uniform(0.2, 2))
    c.restart(i)


def kill_two_nodes(c):
    for i in random.sample(range(len(c.nodes)), 2):
        c.nodes[i].kill()
    time.sleep(random.uniform(0.2, 2))


def suspend_postgres(c):
    c.postgres.process.suspend()
    time.sleep(random.uniform(2, 8))
    c.postgres.process.resume()


def crash_postgres(c):
    c.postgres.stop(signal.SIGQUIT)
    time.sleep(random.uniform(0.5, 3))
    c.postgres.start()
    c.postgres.ready()


def restart_postgres(c):
    c.postgres.stop()
    c.postgres.start()
    c.postgres.ready()


def part_a_node_from_postgres(c):
    c.wire.stalled = True
    time.sleep(random.uniform(2, 8))
    c.wire.stalled, c.wire.refusing = False, True
    c.wire.cut()
    time.sleep(1)


def misbehave(c, seconds, *faults):
    c.s3.faults = list(faults)
    time.sleep(seconds)


def stall_the_bucket(c):
    misbehave(c, 6, Fault("stall"))


def refuse_at_the_bucket(c):
    misbehave(c, 4, Fault("status", share=0.5), Fault("status", code=500, share=0.5))


def slow_the_bucket(c):
    misbehave(c, 5, Fault("slow", share=0.5, rate=20000), Fault("delay", seconds=1.5))


def corrupt_at_the_bucket(c):
    misbehave(c, 5, Fault("corrupt", kinds={"get"}, at_byte=3000, share=0.7), Fault("corrupt_up", kinds={"put", "part"}, at_byte=2000, share=0.7))


def cut_multiparts(c):
    misbehave(c, 8, Fault("cut_request", kinds={"part"}, at_byte=1 << 20, share=0.5), Fault("lose_answer", kinds={"complete", "create"}, share=0.5),
              Fault("stall_body", kinds={"part"}, at_byte=1 << 20, times=1))


def lose_what_the_bucket_answers(c):
    misbehave(c, 4, Fault("lose_answer", kinds={"put"}, share=0.6), Fault("cut_answer", kinds={"get"}, at_byte=5000, share=0.5),
              Fault("half_close", kinds={"get"}, at_byte=5000, share=0.5), Fault("cut_request", kinds={"put"}, at_byte=5000, share=0.5))


def lose_the_bucket_and_a_node(c):
    c.s3.faults = [Fault("stall")]
    time.sleep(1)
    kill_a_node(c)
    time.sleep(1)


BREAKS = [kill_a_node, refuse_at_the_bucket, crash_postgres, cut_multiparts, suspend_postgres, kill_two_nodes, stall_the_bucket, corrupt_at_the_bucket,
          part_a_node_from_postgres, lose_what_the_bucket_answers, slow_the_bucket, restart_postgres, lose_the_bucket_and_a_node]


def all_work(c, ledger, seed):
    """Every node stores, by both doors, and each serves what the others took. Raises what stands against it."""
    for i, node in enumerate(c.nodes):
        status, _, body = node.http("GET", "/readyz", timeout=10)
        assert status == 200, f"{node.name} is not ready: {status} {body[:200]}"
        for door in (traffic.DicomSender, traffic.WebSender):
            sender = door([node], ledger, f"{seed}.{i}.{1 + (door is traffic.WebSender)}", 1, 4000)
            thing = traffic.make_series(sender.seed, 1, 1, 4000)[0]
            sender.send(node, [thing])
            assert thing.acked, f"{node.name} did not take an object"
            reader = traffic.Reader(c.nodes, ledger)
            for other in c.nodes:
                reader.object(other, thing)
                reader.search(other, thing)


def wait_until_all_work(c, ledger, seed):
    start, tries = time.monotonic(), 0
    while True:
        tries += 1
        try:
            all_work(c, ledger, f"{seed}.{tries}")
            return time.monotonic() - start
        except (*traffic.CUT, AssertionError) as e:
            if time.monotonic() - start > RECOVERY_S:
                ledger.fault(f"not all nodes work {RECOVERY_S} s after all was healed: {type(e).__name__} {e}")
                return time.monotonic() - start
            time.sleep(0.3)


def rounds_of(count, names):
    known = [b for b in BREAKS if not names or b.__name__ in names]
    for number in range(count):
        yield number, known[number] if number < len(known) else random.choice(known)


def break_and_heal(c, ledger, count, names):
    for number, what in rounds_of(count, names):
        begun, before, refused = time.monotonic(), len(ledger.acked), ledger.refusals
        ledger.calm = False
        what(c)
        broken = len(ledger.acked)
        c.heal()
        took = wait_until_all_work(c, ledger, 1000 + number)
        time.sleep(SETTLE_S)
        ledger.calm = True
        time.sleep(1.5)
        for node in c.nodes:
            if node.process.poll() is not None:
                ledger.fault(f"{node.name} ended by itself with {node.process.returncode}: {node.stderr()[-1500:]}")
        print(f"round {number + 1} {what.__name__}: {time.monotonic() - begun:.1f} s, {broken - before} objects taken meanwhile, {ledger.refusals - refused} refused, "
              f"all work after {took:.1f} s", flush=True)


def check_events(c, ledger, subscribers):
    last = int(c.home.sql("SELECT max(seq) FROM {s}.events"))
    end = time.monotonic() + 90
    while any(s.last < last for s in subscribers) and time.monotonic() < end:
        time.sleep(0.1)
    for subscriber in subscribers:
        subscriber.going = False
        if subscriber.last < last:
            ledger.fault(f"a subscriber has {subscriber.last} of {last} events")
        missing = [t.sop for t in ledger.acked if t.sop not in subscriber.stored]
        if missing:
            ledger.fault(f"{len(missing)} acknowledged objects have no event, such as {missing[:3]}")
    return last


def check_objects(c, ledger):
    """Any of them, from any node; and nothing twice in lists of all. fsck reads them all."""
    for thing in random.sample(ledger.acked, min(len(ledger.acked), 400)):
        traffic.Reader(c.nodes, ledger).object(random.choice(c.nodes), thing)
    listed = []
    while page := c.nodes[0].get_json(f"/dicom-web/instances?limit=5000&offset={len(listed)}"):
        listed += [i["00080018"]["Value"][0] for i in page]
    acked = {t.sop for t in ledger.acked}
    if len(listed) != len(set(listed)) or not acked <= set(listed) <= ledger.offered:
        ledger.fault(f"{len(listed)} instances are listed, {len(set(listed))} different ones; {len(acked)} were acknowledged, {len(acked - set(listed))} of them are missing, "
                     f"{len(set(listed) - ledger.offered)} were never sent")


def said(what):
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def finish(c, ledger, senders, readers, subscribers):
    for worker in [*senders, *readers]:
        worker.going = False
    for worker in [*senders, *readers]:
        worker.stop()
    said("senders and readers ended")
    last = check_events(c, ledger, subscribers)
    said("events checked")
    check_objects(c, ledger)
    said("objects checked")
    for node in c.nodes:
        code = node.stop()
        if code != 0:
            ledger.fault(f"{node.name} exited with {code}: {node.stderr()[-1500:]}")
    said("nodes stopped")
    check_all(c, ledger)
    said("all read")
    return last


def check_all(c, ledger):
    """What was written by a node that died before it could say so, and was not acknowledged, may be there; then it is taken into the index and all is well."""
    found = gantry.run(gantry.GANTRY, "fsck", "--config", c.nodes[1].config, check=False)
    bad = [line for line in found.stdout.splitlines()[:-1] if not line.startswith("orphan ")]
    if found.returncode not in (0, 1) or bad:
        ledger.fault(f"fsck: {found.returncode} {bad[:10]} {found.stderr[-500:]}")
    if found.returncode:
        gantry.run(gantry.GANTRY, "fsck", "--repair", "--config", c.nodes[1].config, check=False)
        again = gantry.run(gantry.GANTRY, "fsck", "--config", c.nodes[1].config, check=False)
        if again.returncode or "all is well" not in again.stdout:
            ledger.fault(f"fsck after a repair: {again.returncode} {again.stdout[-1500:]} {again.stderr[-500:]}")


def live(c, rounds, names):
    ledger = traffic.Ledger()
    senders = [traffic.DicomSender(c.nodes, ledger, 1, pause_s=0.1), traffic.DicomSender(c.nodes, ledger, 2, pixel_bytes=150000, pause_s=0.1), traffic.WebSender(c.nodes, ledger, 3, pause_s=0.1),
               traffic.WebSender(c.nodes, ledger, 4, count=4, pixel_bytes=100000, large_every=6, pause_s=0.1)]
    readers = [traffic.Reader(c.nodes, ledger) for _ in c.nodes]
    subscribers = [traffic.Subscriber(c.nodes, ledger, node) for node in c.nodes]
    for worker in [*senders, *readers, *subscribers]:
        worker.start()
    wait_until_all_work(c, ledger, 999)
    ledger.calm = True
    time.sleep(2)
    break_and_heal(c, ledger, rounds, names)
    last = finish(c, ledger, senders, readers, subscribers)
    print(f"{len(ledger.acked)} objects acknowledged, {ledger.refusals} refused for a while, the slowest series took {ledger.slowest:.1f} s; {ledger.reads} reads, "
          f"{ledger.read_errors} without an answer; {last} events to {len(subscribers)} subscribers over {sum(s.connections for s in subscribers)} connections; "
          f"{c.restarts} restarts; requests to the bucket {dict(c.s3.counts)}")
    assert len(ledger.acked) > 20 * rounds and ledger.reads > 20 * rounds, "too little happened for the test to mean anything"
    return ledger.faults


def main():
    os.environ["GANTRY_ENGINE"] = "cluster"
    gantry.on_cluster()  # skips when there are no services
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    seed = int(os.environ.get("SEED", time.time_ns() & 0xFFFFFF))
    random.seed(seed)
    print(f"seed {seed}, {rounds} rounds", flush=True)
    with tempfile.TemporaryDirectory(prefix="gantry-nodes-") as top:
        c = Cluster(top)
        try:
            faults = live(c, rounds, sys.argv[2:])
        finally:
            c.close()
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults")
    sys.exit(1 if faults else 0)


main()
