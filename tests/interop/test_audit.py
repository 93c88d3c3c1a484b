"""The audit trail from the outside: one event for each of 1,000 mixed actions, refusals included; messages valid by PS3.15 A.5.1 that reach a collector
(rsyslog with TLS) also when it was away; and a log that proves itself while the server runs, after it was killed, and not after somebody was at it."""
import base64
import collections
import json
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

try:
    import pydicom
    from pydicom.uid import ImplicitVRLittleEndian

    import objects
except ImportError:
    gantry.skip("pydicom is not installed")

ACTIONS = 1000
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.1.3"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
SCHEMA = Path(__file__).resolve().parent / "audit_message.rng"
# Of the server itself, not of what it is asked for.
OWN = {"audit.key", "server.started", "server.stopped", "audit.exported", "audit.verified"}


def explicit(group, element, value):
    data = value.encode() + (b" " if len(value) & 1 else b"")
    return struct.pack("<HHI", group, element, len(data)) + data


def find_nobody(server):
    """A C-FIND that matches nothing: its first response is its last."""
    with gantry.Association(server.dicom_port, server.aet, [FIND]) as a:
        a.send(1, a.command([(0x0002, FIND), (0x0100, 0x0020), (0x0110, 7), (0x0700, 0), (0x0800, 0)]),
               explicit(8, 0x52, "STUDY") + explicit(0x10, 0x20, "NOBODY AT ALL") + explicit(0x20, 0x0D, ""))
        assert a.status() == 0


def called_wrong(server):
    try:
        with gantry.Association(server.dicom_port, "WRONG", [FIND]):
            raise AssertionError("a wrong called AE title is taken")
    except ConnectionError:
        pass


class Actions:
    """Does things, each once, and knows of each what its event is."""

    def __init__(self, server, folder):
        self.server, self.folder, self.stored, self.sent, self.number, self.expected = server, folder, [], [], 0, collections.Counter()

    def made(self):
        self.number += 1
        ds = objects.image(objects.ramp(16, 16), PatientID=f"P{self.number % 7}", PatientName="Audit^Test", StudyInstanceUID=f"1.2.3.{self.number % 11}",
                           SeriesInstanceUID=f"1.2.3.{self.number % 11}.1", SOPInstanceUID=f"1.2.3.4.{self.number}")
        # a study is of one patient
        ds.PatientID = f"P{self.number % 11}"
        return ds

    def get(self, path, status, **headers):
        got = self.server.http("GET", path, headers=headers or {"Accept": "application/dicom+json, application/json"})[0]
        assert got == status, f"GET {path}: {got}"

    def one(self):
        return self.stored[random.randrange(len(self.stored))]

    def path_of(self, ds):
        return f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"

    def bytes_of(self, ds):
        path = self.folder / "one.dcm"
        objects.save(ds, path)
        return path.read_bytes()

    def store(self):
        ds = self.made()
        self.server.store([self.bytes_of(ds)])
        self.stored.append(ds)
        self.sent.append(ds)
        return "instance.stored"

    def store_again(self):
        self.server.store([self.bytes_of(random.choice(self.sent))])
        return "instance.known"

    def post(self, path, data):
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--b--\r\n"
        return self.server.http("POST", path, body=body, headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'})[0]

    def store_elsewhere(self):
        assert self.post("/dicom-web/studies/1.2.9998", self.bytes_of(self.made())) == 409
        return "instance.refused"

    def store_no_image(self):
        ds = self.made()
        ds.SOPClassUID = FIND
        assert self.post("/dicom-web/studies", self.bytes_of(ds)) == 409
        return "instance.refused"

    def c_store(self):
        ds = self.made()
        path = self.folder / "one.dcm"
        objects.save(ds, path, ImplicitVRLittleEndian)
        with gantry.Association(self.server.dicom_port, self.server.aet, [SECONDARY]) as a:
            assert a.store(SECONDARY, ds.SOPInstanceUID, gantry.data_set_of(path.read_bytes())) == 0
        self.stored.append(ds)
        return "instance.stored"

    def c_find(self):
        find_nobody(self.server)
        return "study.queried"

    def stranger(self):
        called_wrong(self.server)
        return "access.denied"

    def query(self):
        self.get("/dicom-web/studies?PatientID=P3", 200)
        return "study.queried"

    def worklist(self):
        self.get("/api/worklist?limit=2", 200)
        return "study.queried"

    def bad_query(self):
        self.get("/dicom-web/studies?StudyDate=when", 400)
        return "study.queried"

    def read(self):
        self.get(self.path_of(self.one()), 200, Accept="multipart/related; type=\"application/dicom\"; transfer-syntax=*")
        return "study.read"

    def metadata(self):
        self.get(f"/dicom-web/studies/{self.one().StudyInstanceUID}/metadata", 200)
        return "study.read"

    def not_there(self):
        self.get("/dicom-web/studies/1.2.9999/metadata", 404)
        return "study.read"

    def faults(self):
        self.get("/api/conflicts", 200)
        return "faults.read"

    def hold(self):
        uid = self.one().StudyInstanceUID
        status = self.server.http("POST", "/api/holds", body=json.dumps({"study": uid, "reason": "审查"}))[0]
        assert status < 300, status
        return "study.held"

    def release_nothing(self):
        assert self.server.http("DELETE", "/api/holds/1.2.9999", body=json.dumps({"reason": "none"}))[0] >= 400
        return "change.failed"

    def open_page(self):
        self.get("/healthz", 200)
        self.server.echo()
        return None


def act(server, folder):
    a = Actions(server, folder)
    kinds = [a.store, a.store_again, a.c_store, a.c_find, a.stranger, a.query, a.worklist, a.bad_query, a.read, a.metadata, a.not_there, a.faults,
             a.store_elsewhere, a.store_no_image, a.release_nothing, a.open_page]
    for i in range(ACTIONS):
        kind = a.store if i == 0 else random.choice(kinds)
        event = kind()
        if event:
            a.expected[event] += 1
    a.expected[a.hold()] += 1
    return a


# ---- messages ----

def type_of(message):
    return [c.get("csd-code") for c in message.iter("EventTypeCode") if c.get("codeSystemName") == "99GANTRY"][0]


def messages_of(lines):
    return [ET.fromstring(line[line.index("<AuditMessage"):]) for line in lines if "<AuditMessage" in line]


def check_schema(folder, messages):
    gantry.need_tools("xmllint")
    for at in range(0, len(messages), 400):
        paths = []
        for i, message in enumerate(messages[at:at + 400]):
            paths.append(folder / f"m{i}.xml")
            paths[-1].write_bytes(ET.tostring(message, encoding="utf-8"))
        result = subprocess.run(["xmllint", "--noout", "--relaxng", SCHEMA, *paths], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[:2000]


def exported(folder, *options):
    out = folder / "messages"
    gantry.run(gantry.GANTRY, "audit", "export", *gantry.archive(folder / "archive", folder / "config.yaml"), "--out", out, *options)
    return messages_of(out.read_text().splitlines())


def counted(messages):
    return collections.Counter(t for t in map(type_of, messages) if t not in OWN)


# ---- the collector ----

RSYSLOG = """
global(workDirectory="{dir}" maxMessageSize="512k" DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="{tls}/ca.crt"
       DefaultNetstreamDriverCertFile="{tls}/server.crt" DefaultNetstreamDriverKeyFile="{tls}/server.key")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
template(name="whole" type="string" string="%app-name% %msgid% %msg%\\n")
ruleset(name="keep") {{ action(type="omfile" file="{dir}/received" template="whole" fileCreateMode="0644" asyncWriting="off" flushOnTXEnd="on") }}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="keep" maxFrameSize="500000")
"""


class Collector:
    def __init__(self, folder):
        self.dir, self.port, self.process = folder / "collector", gantry.free_port(), None
        self.tls = folder / "tls"
        self.dir.mkdir()
        gantry.run(gantry.GANTRY, "cert", "server", "--dir", self.tls, "localhost", "127.0.0.1")
        gantry.run(gantry.GANTRY, "cert", "client", "--dir", self.tls, "GANTRY")
        (self.dir / "conf").write_text(RSYSLOG.format(dir=self.dir, tls=self.tls, port=self.port))

    def start(self):
        self.process = subprocess.Popen(["rsyslogd", "-n", "-f", self.dir / "conf", "-i", self.dir / "pid"], stdout=subprocess.DEVNULL,
                                        stderr=open(self.dir / "trouble", "a"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def configuration(self):
        tls = self.tls
        return f"{{host: 127.0.0.1, port: {self.port}, ca: {tls}/ca.crt, cert: {tls}/GANTRY.crt, key: {tls}/GANTRY.key}}"

    def lines(self):
        path = self.dir / "received"
        return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []

    def sequence(self):
        """Numbers of the events in the order in which they came first."""
        seen = {}
        for message in messages_of(self.lines()):
            number = [int(p.get("ParticipantObjectID")) for p in message.iter("ParticipantObjectIdentification")
                      if p.find("ParticipantObjectIDTypeCode").get("codeSystemName") == "99GANTRY"][0]
            seen.setdefault(number, type_of(message))
        return seen

    def wait_for(self, last, why):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if last in self.sequence():
                return
            time.sleep(0.2)
        raise AssertionError(f"{why}: event {last} did not come; {(self.dir / 'trouble').read_text()[-1000:]}")


# ---- tests ----

def last_event(folder):
    return verified(folder)["last"]


def verified(folder, *options, expect=0):
    result = gantry.run(gantry.GANTRY, "audit", "verify", *gantry.archive(folder / "archive", folder / "config.yaml"), "--json", *options, check=False)
    assert result.returncode == expect, f"{result.returncode} {result.stdout[-1500:]} {result.stderr[-1500:]}"
    return json.loads(result.stdout)


def one_event_for_each_action(folder, server, collector):
    random.seed(7)
    a = act(server, folder)
    until = time.monotonic() + 120
    while counted(exported(folder)) != a.expected and time.monotonic() < until:
        time.sleep(0.5)
    messages = exported(folder)
    assert counted(messages) == a.expected, f"more: {counted(messages) - a.expected}, less: {a.expected - counted(messages)}"
    check_schema(folder, messages)
    theirs = exported(folder, "--patient", "P3")
    uids = {ds.StudyInstanceUID for ds in a.stored if ds.PatientID == "P3"}
    reads = [m for m in messages if any(p.get("ParticipantObjectID") in uids for p in m.iter("ParticipantObjectIdentification"))]
    assert len(theirs) >= len(reads) > 0, f"{len(theirs)} of {len(reads)}"
    if collector:
        collector.wait_for(last_event(folder), "while all is well")


def while_the_collector_is_away_the_log_waits(folder, server, collector):
    collector.stop()
    a = Actions(server, folder)
    for _ in range(50):
        a.worklist()
    collector.start()
    until = time.monotonic() + 120
    while counted(exported(folder))["study.queried"] < 50 and time.monotonic() < until:
        time.sleep(0.2)
    last = last_event(folder)
    collector.wait_for(last, "after it was away")
    numbers = list(collector.sequence())
    assert sorted(numbers) == list(range(1, max(numbers) + 1)), "an event never came"
    assert numbers == sorted(numbers), "events came out of order"


def a_long_message_comes_whole(folder, server, collector):
    """At least 32,768 octets (PS3.15 A.6.1.1): a C-GET of a patient with many studies, each of which the event names."""
    a = Actions(server, folder)
    many = []
    for i in range(150):
        ds = objects.image(objects.ramp(16, 16), PatientID="MANY", PatientName="Audit^Many", StudyInstanceUID=f"1.2.3.77777777777777777777777777777777.{i}",
                           SeriesInstanceUID=f"1.2.3.7.{i}.1", SOPInstanceUID=f"1.2.3.7.{i}.1.1")
        many.append(a.bytes_of(ds))
    server.store(many)
    with gantry.Association(server.dicom_port, server.aet, [GET]) as association:
        association.send(1, association.command([(0x0002, GET), (0x0100, 0x0010), (0x0110, 7), (0x0700, 0), (0x0800, 0)]),
                         explicit(8, 0x52, "PATIENT") + explicit(0x10, 0x20, "MANY"))
        while association.status() == 0xFF00:
            pass
    until = time.monotonic() + 120
    while not any("MANY" in line and "C-GET" in line for line in map(text_of_details, messages_of(collector.lines()))) and time.monotonic() < until:
        time.sleep(0.2)
    long = [line for line in collector.lines() if len(line.encode()) > 32768]
    assert long and len(messages_of(long)) == 1 and messages_of(long)[0].tag == "AuditMessage", f"{len(long)} long ones"
    named = [p for p in messages_of(long)[0].iter("ParticipantObjectIdentification") if p.get("ParticipantObjectID").startswith("1.2.3.777")]
    assert len(named) == 150, len(named)
    check_schema(folder, messages_of(long))


def text_of_details(message):
    return " ".join(base64.b64decode(d.get("value")).decode("utf-8", "replace") for d in message.iter("ParticipantObjectDetail"))


def killed_the_log_is_proven(folder):
    report = verified(folder)
    assert report["faults"] == 0, report


def command(folder, *words):
    return gantry.run(gantry.GANTRY, "audit", *words, *gantry.archive(folder / "archive", folder / "config.yaml"), "--json").stdout


def in_time(is_so):
    """What was noted is in the chain soon after, not at once."""
    until = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def commands_ask_the_server_that_runs(folder):
    report = json.loads(command(folder, "report", "P3", "--lang", "zh-CN"))
    assert report["patient"] == "P3" and report["people"] and any(a["what"] == "调阅或获取" for a in report["accesses"]), str(report)[:500]
    in_time(lambda: [e["detail"]["patient"] for e in json.loads(command(folder, "search", "--patient", "P3", "--type", "audit.read"))][:1] == ["P3"])
    command(folder, "search", "--user", "wang.fang")
    in_time(lambda: any(e["detail"].get("of_user") == "wang.fang" for e in json.loads(command(folder, "search", "--type", "audit.read"))))
    denied = json.loads(command(folder, "search", "--outcome", "denied", "--limit", "5"))
    assert len(denied) == 5 and all(e["type"] == "access.denied" for e in denied), denied
    line = json.loads(command(folder, "checkpoint"))["checkpoint"]
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "checkpoints").write_text(line + "\n")
    key = (folder / "archive" / "audit" / "key.pub").read_text().strip()
    if gantry.on_cluster():
        return
    assert verified(folder, "--checkpoints", elsewhere, "--key", key)["faults"] == 0
    # one digit of the kept line changed: it is no mark of ours any more
    (elsewhere / "checkpoints").write_text(line.replace(" checkpoint ", " checkpoint 1", 1) + "\n")
    assert verified(folder, "--checkpoints", elsewhere, "--key", key, expect=1)["findings"][0]["fault"] == "forged"


def using_the_log_is_noted_once(folder):
    def noted():
        found = json.loads(command(folder, "search", "--type", "audit.", "--limit", "10000"))
        of = collections.Counter(e["type"] for e in found if e["type"] in ("audit.exported", "audit.verified"))
        of["report"] = sum(e["detail"].get("operation") == "audit report" for e in found)
        return of

    # What was done before is in the chain when this is, which came after it.
    command(folder, "report", "P77")
    in_time(lambda: json.loads(command(folder, "search", "--patient", "P77", "--type", "audit.read")))
    before = noted()
    for _ in range(2):
        exported(folder, "--patient", "P3")
        verified(folder)
        command(folder, "report", "P3")
    expected = before + collections.Counter({"audit.exported": 2, "audit.verified": 2, "report": 2})
    in_time(lambda: noted() == expected)
    last = json.loads(command(folder, "search", "--type", "audit.exported", "--patient", "P3"))[0]
    assert last["detail"]["operation"] == "audit export" and last["detail"]["outcome"] == "success" and last["user"], last


def also_where_no_server_is(folder):
    def noted():
        return collections.Counter(t for t in map(type_of, exported(folder)) if t in ("audit.exported", "audit.verified"))

    before = noted()
    verified(folder)
    assert noted() == before + collections.Counter({"audit.exported": 1, "audit.verified": 1})


def who_brings_no_token_is_refused_and_noted(folder):
    before = counted(exported(folder))["access.denied"]
    with gantry.Server(folder / "archive", config=folder / "config.yaml", auth=True) as server:
        server.token = None
        for path in ("/dicom-web/studies", "/api/worklist", "/api/conflicts", "/events"):
            assert server.http("GET", path)[0] == 401, path
    assert counted(exported(folder))["access.denied"] == before + 4


def somebody_was_at_it(folder):
    if gantry.on_cluster():
        return
    with sqlite3.connect(folder / "archive" / "index.db") as db:
        number, = db.execute("SELECT seq FROM events WHERE type = 'study.read' ORDER BY seq LIMIT 1 OFFSET 3").fetchone()
        db.execute("UPDATE events SET actor = 'page:nobody@10.0.0.9' WHERE seq = ?", (number,))
    for _ in range(2):  # and nobody writes into it meanwhile
        report = verified(folder, expect=1)
        assert report["findings"][0]["seq"] == number and report["findings"][0]["fault"] == "changed", report["findings"][:2]
    with sqlite3.connect(folder / "archive" / "index.db") as db:
        assert db.execute("SELECT max(seq) FROM events").fetchone()[0] == report["last"]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        collector = None
        if shutil.which("rsyslogd") and Path("/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_ossl.so").exists():
            collector = Collector(folder)
            collector.start()
        else:
            print("rsyslog with OpenSSL is not installed: no collector")
        (folder / "config.yaml").write_text(f"audit:\n  checkpoint-seconds: 1\n  collectors: [{collector.configuration() if collector else ''}]\n")
        server = gantry.Server(folder / "archive", config=folder / "config.yaml")
        try:
            one_event_for_each_action(folder, server, collector)
            if collector:
                while_the_collector_is_away_the_log_waits(folder, server, collector)
                a_long_message_comes_whole(folder, server, collector)
            server.kill()
            killed_the_log_is_proven(folder)
            with gantry.Server(folder / "archive", config=folder / "config.yaml"):
                commands_ask_the_server_that_runs(folder)
                using_the_log_is_noted_once(folder)
            killed_the_log_is_proven(folder)
            also_where_no_server_is(folder)
            who_brings_no_token_is_refused_and_noted(folder)
            somebody_was_at_it(folder)
        finally:
            server.kill()
            if collector:
                collector.stop()
    print("ok")


main()
