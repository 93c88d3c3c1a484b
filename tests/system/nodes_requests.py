#!/usr/bin/env python3
"""What a CT study costs at the bucket: under 0.1 requests for each object, merging included, however it comes: by one C-STORE sender, by four, by STOW-RS."""
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry  # noqa: E402
from cluster import Home, settings  # noqa: E402
from proxy import S3Proxy  # noqa: E402

SIZE, SLICES, SHARE = 512, 24, 0.1


def make(folder, number):
    """A CT study; each is another patient's."""
    gantry.run(gantry.GANTRY, "synth", "--out", folder, "--kind", "chest-ct", "--size", SIZE, "--slices", SLICES, "--seed", number)
    return sorted(folder.rglob("*.dcm"))


def storescu(node, *studies):
    command = ["storescu", "-aec", node.aet, "-xe", "127.0.0.1", str(node.dicom_port)]
    senders = [subprocess.Popen([*command, *map(str, files)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for files in studies]
    assert all(s.wait(300) == 0 for s in senders), "storescu failed"


def stow(node, files):
    """A request for each twenty objects, as viewers and gateways do it."""
    for at in range(0, len(files), 20):
        node.store([f.read_bytes() for f in files[at:at + 20]])


def measure(name, proxy, home, objects, work):
    proxy.forget()
    work()
    sent = dict(proxy.counts)
    end = time.monotonic() + 90  # small volumes are put together meanwhile
    while int(home.sql("SELECT count(*) FROM {s}.volumes WHERE place = 2 AND removed_ms IS NULL")) > 0 and time.monotonic() < end:
        time.sleep(0.5)
    share = sum(proxy.counts.values()) / objects
    print(f"{name}: {objects} objects, {share:.3f} requests each, {sum(sent.values())} while they were sent, {dict(proxy.counts)} in all", flush=True)
    return [] if share < SHARE else [f"{name}: {share:.3f} requests to the bucket for each object, at most {SHARE} are agreed; {proxy.log[-20:]}"]


def main():
    os.environ["GANTRY_ENGINE"] = "cluster"
    gantry.on_cluster()  # skips when there are no services
    gantry.need_tools("storescu")
    with tempfile.TemporaryDirectory(prefix="gantry-requests-") as top, S3Proxy(settings()["s3"]["endpoint"]) as proxy:
        top, home = Path(top), Home(endpoint=proxy.endpoint)
        files = [make(top / f"ct{i}", i + 1) for i in range(6)]
        (top / "node").mkdir()
        config = home.write(top / "node.yaml", top / "node", store={"merge": "{quiet-seconds: 2, age-seconds: 4}"})
        with gantry.Server(top / "node", named=["--config", str(config)]) as node:
            failures = measure("one C-STORE sender", proxy, home, len(files[0]), lambda: storescu(node, files[0]))
            failures += measure("four C-STORE senders", proxy, home, sum(map(len, files[1:5])), lambda: storescu(node, *files[1:5]))
            failures += measure("STOW-RS", proxy, home, len(files[5]), lambda: stow(node, files[5]))
    for failure in failures:
        print(failure)
    sys.exit(1 if failures else 0)


main()
