#!/usr/bin/env python3
"""The S3 client against OpenStack Swift, with and without something between them that breaks what passes."""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import s3  # noqa: E402
from proxy import Fault, S3Proxy  # noqa: E402

DRIVE = os.environ["S3_DRIVE"]
ENDPOINT = os.environ.get("GANTRY_TEST_S3_ENDPOINT")
ACCESS, SECRET, BUCKET = (os.environ.get(f"GANTRY_TEST_S3_{n}", "") for n in ("ACCESS_KEY", "SECRET_KEY", "BUCKET"))
PREFIX = f"client-{os.getpid()}/"
PART = 16 * 1024 * 1024
checks = 0


def check(what, condition, seen=""):
    global checks
    checks += 1
    if not condition:
        raise AssertionError(f"{what}: {seen}")


class Drive:
    def __init__(self, endpoint=ENDPOINT, bucket=BUCKET, access=ACCESS, secret=SECRET, **options):
        options = {"access": access, "secret": secret, **{k.replace("_", "-"): v for k, v in options.items()}}
        self.process = subprocess.Popen([DRIVE, endpoint, bucket, *[f"{k}={v}" for k, v in options.items()]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, *words):
        self.process.stdin.write("\t".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        lines = []
        while line := self.process.stdout.readline():
            if line.startswith("= "):
                return line[2:].strip(), lines
            lines.append(line.rstrip("\n"))
        raise AssertionError("the client ended")

    def good(self, *words):
        result, lines = self.do(*words)
        check(f"{' '.join(map(str, words))[:80]} succeeds", result == "ok", result)
        return lines

    def bad(self, kind, *words):
        result, _ = self.do(*words)
        check(f"{' '.join(map(str, words))[:80]} fails as {kind}", result.startswith(kind + ":"), result)
        return result

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        code = self.process.wait(60)
        if kind is None:
            check("the client ends well", code == 0, code)


def what_is_put_comes_back(place, direct):
    small, large = place / "small", place / "large"
    with Drive() as d:
        d.good("make-bucket")
        for name in ["plain", "with space/新建 +%&=?#~", "deep/er/still"]:
            d.good("put", PREFIX + name, small)
            check("whole", direct.get(PREFIX + name) == small.read_bytes())
            check("its length is known", d.good("head", PREFIX + name)[0].split("\t")[1] == "100000")
        d.good("get", PREFIX + "plain", 1234, 50_000, place / "got")
        check("a part of it", (place / "got").read_bytes() == small.read_bytes()[1234:51_234])
        d.bad("corrupt", "get", PREFIX + "plain", 99_999, 2, place / "got")
        d.bad("not-found", "get", PREFIX + "none", 0, 2, place / "got")
        d.bad("not-found", "head", PREFIX + "none")
        d.good("put", PREFIX + "large", large)
        d.good("get", PREFIX + "large", PART - 10, 20, place / "got")
        check("over the seam of its parts", (place / "got").read_bytes() == large.read_bytes()[PART - 10:PART + 10])
        check("and all of it", direct.get(PREFIX + "large") == large.read_bytes())
        d.bad("conflict", "create", PREFIX + "large", large)
        keys = [line.split("\t")[0] for line in d.good("list", PREFIX, "")]
        check("all are listed", keys == sorted(PREFIX + k for k in ("plain", "with space/新建 +%&=?#~", "deep/er/still", "large")), keys)
        check("from a key on", [line.split("\t")[0] for line in d.good("list", PREFIX, PREFIX + "large")] == keys[2:], keys)
        d.good("delete", PREFIX + "plain")
        d.good("delete", PREFIX + "plain")
        d.bad("not-found", "head", PREFIX + "plain")


def what_swift_lacks_is_said(place, direct):
    key = PREFIX + "kept"
    with Drive() as d:
        d.good("put", key, place / "small")
        d.bad("unsupported", "class", key, "GLACIER")
        d.bad("unsupported", "restore", key, 3)
        check("no lock", "no object lock" in d.bad("unsupported", "hold", key, "on"))
        check("and the object is as it was", direct.get(key) == (place / "small").read_bytes())
    with Drive(bucket="gantry-none") as d:
        check("no bucket", "create it" in d.bad("usage", "put", "a", place / "small"))
    with Drive(secret="wrong") as d:
        d.bad("forbidden", "put", "a", place / "small")
    for wrong in (-7200, 7200):
        with Drive(clock_s=wrong) as d:
            d.good("put", key, place / "small")


def old_uploads_are_aborted(place, direct):
    direct.good("POST", PREFIX + "begun", query={"uploads": ""})
    with Drive() as d:
        check("not the young", d.good("abort-stale", PREFIX, int((time.time() - 3600) * 1000)) == ["0"])
        check("but the old", d.good("abort-stale", PREFIX, int((time.time() + 60) * 1000)) == ["1"])
        check("so that none is left", direct.uploads_of(PREFIX) == [])


def faults_are_survived(place, direct):
    small, large = (place / "small").read_bytes(), (place / "large").read_bytes()
    with S3Proxy(ENDPOINT) as proxy, Drive(f"http://127.0.0.1:{proxy.port}", stall_ms=1000) as d:
        for name, fault in [("cut while it is put", Fault("cut_request", kinds={"put"}, times=1, at_byte=30_000)), ("torn while it is put", Fault("corrupt_up", kinds={"put"}, times=1)),
                            ("its answer lost", Fault("lose_answer", kinds={"put"}, times=1)), ("refused twice", Fault("status", kinds={"put"}, times=2, code=503)),
                            ("stalled", Fault("stall_body", kinds={"put"}, times=1, at_byte=1000))]:
            proxy.faults.append(fault)
            d.good("put", PREFIX + "broken", place / "small")
            check(f"{name}: it happened", fault.hits > 0)
            check("and did no harm", direct.get(PREFIX + "broken") == small)
            direct.delete(PREFIX + "broken")
            proxy.heal()
        d.good("put", PREFIX + "broken", place / "small")
        for name, fault in [("cut while it is read", Fault("cut_answer", kinds={"get"}, times=3, at_byte=20_000)), ("ended while it is read", Fault("half_close", kinds={"get"}, times=2, at_byte=500)),
                            ("slow", Fault("slow", kinds={"get"}, times=1, rate=100_000)), ("failing", Fault("status", kinds={"get"}, times=2, code=500))]:
            proxy.faults.append(fault)
            d.good("get", PREFIX + "broken", 0, 100_000, place / "got")
            check(f"{name}: it happened", fault.hits > 0)
            check("and did no harm", (place / "got").read_bytes() == small)
            proxy.heal()
        for kinds, action in [({"part"}, "cut_request"), ({"part"}, "corrupt_up"), ({"create"}, "lose_answer"), ({"complete"}, "status"), ({"complete"}, "lose_answer")]:
            fault = Fault(action, kinds=kinds, times=1, skip=1 if "part" in kinds else 0, at_byte=5_000_000, code=500)
            proxy.faults.append(fault)
            d.good("create", PREFIX + "parts", place / "large")
            check(f"{action} of {kinds}: it happened", fault.hits == 1)
            check("and the parts are the object", direct.get(PREFIX + "parts") == large)
            direct.delete(PREFIX + "parts")
            proxy.heal()
        d.good("abort-stale", PREFIX, int((time.time() + 60) * 1000))
        proxy.faults.append(Fault("status", kinds={"part"}, skip=1, code=403))
        d.bad("forbidden", "put", PREFIX + "parts", place / "large")
        check("a failed upload leaves nothing", direct.uploads_of(PREFIX) == [] and PREFIX + "parts" not in direct.keys_of(PREFIX))


def many_threads_share_a_client(place, direct):
    with S3Proxy(ENDPOINT) as proxy, Drive(f"http://127.0.0.1:{proxy.port}") as d:
        proxy.faults += [Fault("status", share=0.05, code=503), Fault("cut_answer", kinds={"get"}, share=0.05, at_byte=1000), Fault("lose_answer", kinds={"put", "delete"}, share=0.05)]
        d.good("hammer", 8, 10, 50_000)
        check("things went wrong meanwhile", sum(f.hits for f in proxy.faults) > 0)


def main():
    if not ENDPOINT:
        print("SKIP the S3 service is not started: tests/run starts it, or scripts/dev-services")
        sys.exit(77)
    direct = s3.Client(ENDPOINT, ACCESS, SECRET, BUCKET)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "small").write_bytes(os.urandom(100_000))
        (place / "large").write_bytes(os.urandom(2 * PART + 999))
        for test in [what_is_put_comes_back, what_swift_lacks_is_said, old_uploads_are_aborted, faults_are_survived, many_threads_share_a_client]:
            began = time.monotonic()
            test(place, direct)
            print(f"{test.__name__}: {time.monotonic() - began:.1f} s", flush=True)
        direct.empty(PREFIX)
    print(f"{checks} checks")


main()
