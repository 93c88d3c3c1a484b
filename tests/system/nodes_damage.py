#!/usr/bin/env python3
"""Bytes that turn bad are never served: a bit turned over on the way, in a node's cache, in the bucket; a volume that is gone.

What is still whole somewhere is served from there; what is not is told by fsck, and comes back when it is sent again.
"""
import hashlib
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry  # noqa: E402
import traffic  # noqa: E402
from cluster import Home, settings  # noqa: E402
from proxy import Fault, S3Proxy  # noqa: E402

SERIES, OBJECTS = 6, 5


class Archive:
    """One node whose volumes all lie in the bucket, each series one volume of its own."""

    def __init__(self, top, proxy):
        self.data, self.home, self.proxy = Path(top) / "node", Home(endpoint=proxy.endpoint), proxy
        self.data.mkdir()
        self.config = self.home.write(Path(top) / "node.yaml", self.data, store={"small-volumes": "bucket"},
                                      s3_more={"retry-ms": 3000, "stall-ms": 2000})
        self.things, self.places = [], {}

    def serve(self):
        return gantry.Server(self.data, named=["--config", str(self.config)])

    def fill(self):
        with self.serve() as node:
            for number in range(SERIES):
                known = set(self.home.bucket.keys_of(self.home.prefix))
                things = traffic.make_series(5, number, OBJECTS, 100000)
                node.store([traffic.part10(t.sop, t.data) for t in things])
                self.places.update((key, things) for key in set(self.home.bucket.keys_of(self.home.prefix)) - known)
                self.things += things

    def whole_volume(self):
        """A key, its bytes and the objects that lie in it."""
        while True:
            key = random.choice(sorted(self.places))
            volume = self.home.bucket.get(key)
            inside = [t for t in self.places.pop(key) if t.data in volume]
            if inside:
                return key, volume, inside


def get(node, thing):
    """True when it is served with its bytes, False when it is not served. Other bytes fail the test."""
    path = f"/dicom-web/studies/{thing.study}/series/{thing.series}/instances/{thing.sop}"
    try:
        status, _, body = node.http("GET", path, headers={"Accept": "application/dicom; transfer-syntax=*"})
    except traffic.CUT:
        return False
    if status != 200:
        assert status >= 404, f"{thing.sop}: {status} {body[:200]}"
        return False
    assert hashlib.sha256(gantry.data_set_of(body)).hexdigest() == thing.digest, f"{thing.sop} was served with other bytes"
    return True


def turn_bits_over(folder):
    """One in every few thousand bytes that are there."""
    turned = 0
    for path in (p for p in Path(folder).rglob("*") if p.is_file()):
        path.chmod(0o600)
        data = bytearray(path.read_bytes())
        for at in range(0, len(data), 4096):
            block = data[at:at + 4096]
            if any(block):
                data[at + random.randrange(len(block))] ^= 1 << random.randrange(8)
                turned += 1
        with open(path, "r+b") as f:
            f.write(data)
    return turned


def bad_bytes_on_the_way_are_fetched_again(a):
    shutil.rmtree(a.data / "cache", ignore_errors=True)
    with a.serve() as node:
        for thing in a.things[::OBJECTS]:
            a.proxy.faults = [Fault("corrupt", kinds={"get"}, at_byte=5000, times=1)]
            served = get(node, thing)
            hits = a.proxy.faults[0].hits
            a.proxy.heal()
            assert hits == 1, "no answer was spoilt"
            assert served, f"{thing.sop} was not served though the bucket has it whole"
        assert all(get(node, t) for t in a.things)


def a_spoilt_cache_is_not_served(a):
    with a.serve() as node:
        assert all(get(node, t) for t in a.things)
    turned = turn_bits_over(a.data / "cache")
    with a.serve() as node:
        first = sum(get(node, t) for t in a.things)
        again = sum(get(node, t) for t in a.things)
    print(f"{turned} bits turned in the cache: {first} of {len(a.things)} served after a restart, {again} when asked again")
    assert again == len(a.things), "what the bucket has whole is not served"


def a_cache_may_vanish(a):
    with a.serve() as node:
        assert all(get(node, t) for t in a.things)
        for path in (a.data / "cache").rglob("*"):
            if path.is_file():
                path.unlink()
        assert all(get(node, t) for t in a.things)
        shutil.rmtree(a.data / "cache", ignore_errors=True)
        assert all(get(node, t) for t in a.things)


def a_bit_of_the_bucket(a):
    key, volume, inside = a.whole_volume()
    thing, spoilt = inside[-1], bytearray(volume)
    spoilt[volume.index(thing.data) + len(thing.data) // 2] ^= 4
    a.home.bucket.put(key, bytes(spoilt))
    shutil.rmtree(a.data / "cache", ignore_errors=True)
    with a.serve() as node:
        served = {t.sop: get(node, t) for t in a.things}
    assert not served.pop(thing.sop) and all(served.values()), f"one object is bad: {served}"
    return [thing]


def a_volume_that_is_gone(a):
    key, _, inside = a.whole_volume()
    a.home.bucket.delete(key)
    shutil.rmtree(a.data / "cache", ignore_errors=True)
    with a.serve() as node:
        served = {t.sop: get(node, t) for t in a.things}
    lost = {t.sop for t in inside}
    assert {sop for sop, there in served.items() if not there} >= lost, "what is gone was served"
    return inside


def fsck(a, *options, expect):
    done = gantry.run(gantry.GANTRY, "fsck", "--config", a.config, *options, check=False)
    assert done.returncode == expect, f"fsck {options}: {done.returncode} {done.stdout[-1500:]} {done.stderr[-500:]}"
    return done.stdout


def what_is_lost_is_told_and_comes_back(a, lost):
    told = fsck(a, expect=1)
    assert all(t.sop in told for t in lost), f"fsck does not name all that is lost: {told[-1500:]}"
    fsck(a, "--repair", expect=1)
    with a.serve() as node:
        node.store([traffic.part10(t.sop, t.data) for t in lost])
        missing = [t.sop for t in a.things if not get(node, t)]
    assert not missing, f"not served after they were sent again: {missing}"
    assert "all is well" in fsck(a, expect=0)


def main():
    os.environ["GANTRY_ENGINE"] = "cluster"
    gantry.on_cluster()  # skips when there are no services
    seed = int(os.environ.get("SEED", random.randrange(1 << 24)))
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="gantry-damage-") as top, S3Proxy(settings()["s3"]["endpoint"]) as proxy:
        a = Archive(top, proxy)
        a.fill()
        bad_bytes_on_the_way_are_fetched_again(a)
        a_spoilt_cache_is_not_served(a)
        a_cache_may_vanish(a)
        lost = a_bit_of_the_bucket(a)
        what_is_lost_is_told_and_comes_back(a, lost)
        lost = a_volume_that_is_gone(a)
        what_is_lost_is_told_and_comes_back(a, lost)
    print("ok")


main()
