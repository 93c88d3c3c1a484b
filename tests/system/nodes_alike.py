#!/usr/bin/env python3
"""Several nodes are one archive: what is done on one is there on the others, with the same outcome as on a single server.

The same script of stores, repeated stores, other bytes, other patients, deletions and reads runs against one server with a directory and, step by step on
another node each, against three nodes: answers, lists, metadata, bytes, figures and events must be the same. Then two nodes are given the same study, and the
same UIDs with different bytes, at the same moment, while small volumes are merged.
"""
import contextlib
import hashlib
import json
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry  # noqa: E402
import traffic  # noqa: E402
from cluster import Home  # noqa: E402
from traffic import CT, EXPLICIT, data_set, part10, uid  # noqa: E402

STEPS = 160


def object_of(study, series, instance, variant=0, patient=None):
    s, r = uid(77, study), uid(77, study, series)
    sop = f"{r}.{instance}"
    pixels = random.Random(f"{study}.{series}.{instance}.{variant}").randbytes(3000 if instance % 3 else 60000)
    return sop, data_set(s, r, sop, pixels, patient or f"P{study}", instance, f"Study {study}")


def dicom_store(node, objects):
    with gantry.Association(node.dicom_port, node.aet, [CT], [EXPLICIT], timeout=60) as association:
        return [association.store(CT, sop, data, i + 1) for i, (sop, data) in enumerate(objects)]


def web_store(node, objects):
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part10(*o) + b"\r\n" for o in objects) + b"--b--\r\n"
    status, _, answer = node.http("POST", "/dicom-web/studies", body=body, headers={
        "Content-Type": 'multipart/related; type="application/dicom"; boundary=b', "Accept": "application/dicom+json"})
    answer = json.loads(answer)
    failed = [(i["00081155"]["Value"][0], i["00081197"]["Value"][0]) for i in answer.get("00081198", {}).get("Value", [])]
    stored = [(i["00081155"]["Value"][0], i.get("00081196", {}).get("Value")) for i in answer.get("00081199", {}).get("Value", [])]
    return status, failed, stored


def delete(node, *uids):
    path = "".join(f"/{level}/{u}" for level, u in zip(("studies", "series", "instances"), uids))
    return node.http("DELETE", f"/dicom-web{path}?reason=test")[0]


def junk(node, number):
    body = bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0" + b"?%d" % number * 50
    status, _, _ = node.http("POST", "/dicom-web/studies", body=b"--b\r\nContent-Type: application/dicom\r\n\r\n" + body + b"\r\n--b--\r\n", headers={
        "Content-Type": 'multipart/related; type="application/dicom"; boundary=b'})
    return status


def without_places(value):
    """Without URLs, which name the server that answers."""
    if isinstance(value, dict):
        return {k: without_places(v) for k, v in value.items() if k not in ("00081190", "BulkDataURI", "00080054", "00081199")}
    return [without_places(v) for v in value] if isinstance(value, list) else value


def listed(node, path):
    status, _, body = node.http("GET", path, headers={"Accept": "application/dicom+json"})
    if status != 200:
        return status
    found = without_places(json.loads(body))
    return sorted(found, key=lambda i: json.dumps([i.get(k) for k in ("0020000D", "0020000E", "00080018")]))


def step(rng, number, nodes):
    """One thing that happens, and what was answered."""
    node = nodes[number % len(nodes)]
    study, series = rng.randint(1, 4), rng.randint(1, 2)
    s, r = uid(77, study), uid(77, study, series)
    kind = rng.choice(["dicom"] * 5 + ["web"] * 5 + ["other"] * 3 + ["patient", "delete instance", "delete series", "delete study", "junk", "metadata", "metadata", "list"])
    instances = rng.sample(range(1, 9), rng.randint(1, 4))
    if kind == "dicom":
        return kind, dicom_store(node, [object_of(study, series, i) for i in instances])
    if kind == "web":
        return kind, web_store(node, [object_of(study, series, i) for i in instances])
    if kind == "other":
        return kind, dicom_store(node, [object_of(study, series, instances[0], variant=rng.randint(1, 2))])
    if kind == "patient":
        return kind, dicom_store(node, [object_of(study, series, instances[0] + 8, patient=f"OTHER{rng.randint(1, 2)}")])
    if kind == "junk":
        return kind, junk(node, number)
    if kind == "metadata":
        return kind, listed(node, f"/dicom-web/studies/{s}/series/{r}/metadata")
    if kind == "list":
        return kind, listed(node, f"/dicom-web/studies/{s}/instances")
    return kind, delete(node, *(s, r, f"{r}.{instances[0]}")[:("delete study", "delete series", "delete instance").index(kind) + 1])


# What changes nothing is noted by the node that was asked, in its own time: each node's outcome is looked at here, and more nodes have more of it.
NOTED = ("study.read", "study.queried", "study.exported", "faults.read", "events.read", "holds.read", "accounts.read", "access.denied", "change.failed", "instance.known",
         "instance.refused", "server.", "session.", "audit.")


def events_of(node):
    """All of them so far, by what they are about, without what is only noted."""
    figures, found = node.get_json("/api/figures"), []
    subscriber = traffic.Subscriber([node], traffic.Ledger(), node)

    def take(event, _):
        if b"data" in event:
            data = json.loads(event[b"data"])
            found.append((data["seq"], data["type"], data.get("study"), data.get("series"), data.get("instance")))

    subscriber.take = take
    thread = threading.Thread(target=lambda: contextlib.suppress(Exception) and subscriber.listen(node), daemon=True)
    thread.start()
    last, end = node.get_json("/api/cluster")["events"]["last"], time.monotonic() + 60
    while len(found) < last and time.monotonic() < end:
        thread.join(0.1)
    subscriber.going = False
    assert [e[0] for e in found] == list(range(1, len(found) + 1)), f"events without gaps: {figures}"
    of_each = {}  # in order for each subject: those of one request are stored side by side
    for _, kind, *subject in found:
        if not kind.startswith(("node.", "job.", "index.", "volume.", *NOTED)):
            of_each.setdefault("/".join(s or "" for s in subject), []).append(kind)
    return of_each


def outcome(node):
    result = {path: listed(node, f"/dicom-web/{path}") for path in ("studies", "series", "instances")}
    for instance in result["instances"] if isinstance(result["instances"], list) else []:
        path = "/dicom-web" + "".join(f"/{level}/{instance[tag]['Value'][0]}" for level, tag in (("studies", "0020000D"), ("series", "0020000E"), ("instances", "00080018")))
        status, _, body = node.http("GET", path, headers={"Accept": "application/dicom; transfer-syntax=*"})
        result[path] = status, hashlib.sha256(gantry.data_set_of(body)).hexdigest(), listed(node, path + "/metadata")
    figures = node.get_json("/api/figures")
    result["figures"] = {k: figures[k] for k in ("patients", "studies", "series", "instances", "bytes", "conflicts", "quarantined")}
    for aside in ("conflicts", "quarantine"):
        rows = node.get_json(f"/api/{aside}")
        rows = rows if isinstance(rows, list) else next(v for v in rows.values() if isinstance(v, list))
        rows = [{**row, "sop_instance_uid": "", "series_uid": ""} if row.get("kind") == "patient" else row for row in rows]  # the first of a request's, whichever that was
        result[aside] = sorted(json.dumps({k: v for k, v in row.items() if k in ("kind", "study_uid", "series_uid", "sop_instance_uid", "patient_id", "bytes", "sha256", "reason")}, sort_keys=True) for row in rows)
    return result


def differences(a, b):
    return [f"{key}:\n    {str(a.get(key))[:600]}\n    {str(b.get(key))[:600]}" for key in sorted({*a, *b}) if a.get(key) != b.get(key)]


def play(nodes, seed):
    rng = random.Random(seed)
    answers = [step(rng, number, nodes) for number in range(STEPS)]
    return answers, [outcome(node) for node in nodes], events_of(nodes[-1])


def a_script_has_the_same_outcome(alone, nodes, seed):
    one, many = play([alone], seed), play(nodes, seed)
    failures = [f"step {i}: {a} alone, {b} on nodes" for i, (a, b) in enumerate(zip(one[0], many[0])) if a != b][:10]
    for node, result in zip(nodes, many[1]):
        failures += [f"{node.name}, {text}" for text in differences(one[1][0], result)][:10]
    failures += [f"events of {text}" for text in differences(one[2], many[2])][:10]
    return failures


def both(one, other):
    """At the same moment."""
    barrier, results = threading.Barrier(2), [None, None]

    def go(i, work):
        barrier.wait()
        results[i] = work()

    threads = [threading.Thread(target=go, args=(i, work)) for i, work in enumerate((one, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def the_same_study_at_once(nodes):
    """Twice the same forty objects, in opposite order."""
    objects = [object_of(9, 1, i) for i in range(1, 41)]
    results = both(lambda: dicom_store(nodes[0], objects), lambda: dicom_store(nodes[1], objects[::-1]))
    failures = [] if results == [[0] * 40] * 2 else [f"the same study on two nodes: {results}"]
    for node in nodes:
        found = listed(node, f"/dicom-web/studies/{uid(77, 9)}/instances")
        study = listed(node, f"/dicom-web/studies?StudyInstanceUID={uid(77, 9)}")[0]
        if len(found) != 40 or study["00201208"]["Value"] != [40]:
            failures.append(f"{node.name} has {len(found)} of 40 instances of a study that came twice at once; the study says {study['00201208']}")
    return failures


def other_bytes_at_once(nodes, web):
    """One of two is served, by all the same; the other is kept aside."""
    before = nodes[2].get_json("/api/figures")
    store = (lambda node, objects: web_store(node, objects)) if web else dicom_store
    series = 2 if web else 1
    a, b = ([object_of(10, series, i, variant) for i in range(1, 21)] for variant in (1, 2))
    both(lambda: store(nodes[0], a), lambda: store(nodes[1], b))
    failures = []
    for (sop, one), (_, other) in zip(a, b):
        seen = set()
        for node in nodes:
            path = f"/dicom-web/studies/{uid(77, 10)}/series/{uid(77, 10, series)}/instances/{sop}"
            status, _, body = node.http("GET", path, headers={"Accept": "application/dicom; transfer-syntax=*"})
            seen.add(gantry.data_set_of(body) if status == 200 else status)
        if len(seen) != 1 or not seen <= {one, other}:
            failures.append(f"{sop} came as two at once and is served as {len(seen)}: {[s if isinstance(s, int) else len(s) for s in seen]}")
    after = nodes[2].get_json("/api/figures")
    grown = after["instances"] - before["instances"], after["conflicts"] - before["conflicts"]
    return failures if grown == (20, 20) else [*failures, f"20 UIDs with two contents each made {grown[0]} instances and {grown[1]} conflicts"]


def merging_meanwhile(home_config, stop):
    while not stop.wait(0.2):
        gantry.run(gantry.GANTRY, "compact", "--config", home_config, check=False)


def at_once(nodes, home_config):
    stop = threading.Event()
    merger = threading.Thread(target=merging_meanwhile, args=(home_config, stop))
    merger.start()
    try:
        failures = the_same_study_at_once(nodes) + other_bytes_at_once(nodes, False) + other_bytes_at_once(nodes, True)
    finally:
        stop.set()
        merger.join()
    outcomes = [outcome(node) for node in nodes]
    for node, result in zip(nodes[1:], outcomes[1:]):
        failures += [f"{node.name} is not as {nodes[0].name}: {text}" for text in differences(outcomes[0], result)][:5]
    return failures


def main():
    os.environ["GANTRY_ENGINE"] = "cluster"
    gantry.on_cluster()  # skips when there are no services
    seed = int(os.environ.get("SEED", random.randrange(1 << 24)))
    print(f"seed {seed}", flush=True)
    failures = []
    with tempfile.TemporaryDirectory(prefix="gantry-alike-") as top, contextlib.ExitStack() as stack:
        top, home, nodes = Path(top), Home(), []
        alone = stack.enter_context(gantry.Server(top / "alone", named=["--data", str(top / "alone")]))
        for i, store in enumerate([{}, {"small-volumes": "bucket"}, {}]):
            (top / f"n{i}").mkdir()
            config = home.write(top / f"n{i}.yaml", top / f"n{i}", node=f"node{i}", store=store)
            nodes.append(stack.enter_context(gantry.Server(top / f"n{i}", named=["--config", str(config)])))
            nodes[-1].name = f"node{i}"
        alone.name = "alone"
        failures += a_script_has_the_same_outcome(alone, nodes, seed)
        failures += at_once(nodes, config)
        fsck = gantry.run(gantry.GANTRY, "fsck", "--config", config, check=False)
        if "all is well" not in fsck.stdout:
            failures.append(f"fsck: {fsck.stdout[-1000:]} {fsck.stderr[-500:]}")
    for failure in failures:
        print(failure)
    print(f"{len(failures)} failures")
    sys.exit(1 if failures else 0)


main()
