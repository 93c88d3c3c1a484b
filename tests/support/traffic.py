"""Senders, readers and subscribers that keep several nodes busy, and remember what was promised to them.

Everything that a node says is held against one Ledger: an object that was acknowledged must be found on every node from then on, with the bytes that
were sent; every event must come once and in order; what is refused must be refused in a way that a sender tries again.
"""
import hashlib
import http.client
import json
import random
import re
import socket
import struct
import threading
import time

import gantry

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
ROOT = "1.2.826.0.1.3680043.10.9.7"
RETRYABLE = {0x0110, 0x0122} | set(range(0xA700, 0xA800))  # PS3.4 B.2.3, PS3.7 C.5.9: processing failure, out of resources
CUT = (ConnectionError, TimeoutError, socket.timeout, OSError, http.client.HTTPException)


def element(group, number, vr, value):
    if isinstance(value, str):
        value = value.encode()
    if len(value) & 1:
        value += b"\0" if vr in (b"UI", b"OW") else b" "
    head = struct.pack("<HH", group, number) + vr
    return head + (struct.pack("<HI", 0, len(value)) if vr == b"OW" else struct.pack("<H", len(value))) + value


def data_set(study, series, sop, pixels, patient="P", instance=1, description=""):
    """A CT image of 16 bits, Explicit VR Little Endian."""
    columns = 64 if len(pixels) < 1 << 22 else 4096
    rows = max(1, len(pixels) // (2 * columns))
    us = struct.Struct("<H").pack
    return b"".join(element(g, n, vr, v) for g, n, vr, v in [
        (0x0008, 0x0016, b"UI", CT), (0x0008, 0x0018, b"UI", sop), (0x0008, 0x0020, b"DA", "20260101"), (0x0008, 0x0030, b"TM", "120000"),
        (0x0008, 0x0050, b"SH", "A1"), (0x0008, 0x0060, b"CS", "CT"), (0x0008, 0x1030, b"LO", description), (0x0010, 0x0010, b"PN", f"Nodes^{patient}"),
        (0x0010, 0x0020, b"LO", patient), (0x0020, 0x000D, b"UI", study), (0x0020, 0x000E, b"UI", series), (0x0020, 0x0011, b"IS", "1"),
        (0x0020, 0x0013, b"IS", str(instance)), (0x0028, 0x0002, b"US", us(1)), (0x0028, 0x0004, b"CS", "MONOCHROME2"), (0x0028, 0x0010, b"US", us(rows)),
        (0x0028, 0x0011, b"US", us(columns)), (0x0028, 0x0100, b"US", us(16)), (0x0028, 0x0101, b"US", us(12)), (0x0028, 0x0102, b"US", us(11)),
        (0x0028, 0x0103, b"US", us(0)), (0x7FE0, 0x0010, b"OW", pixels[:rows * columns * 2])])


def part10(sop, data):
    meta = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    meta += element(2, 2, b"UI", CT) + element(2, 3, b"UI", sop) + element(2, 0x10, b"UI", EXPLICIT) + element(2, 0x12, b"UI", ROOT)
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta + data


class Thing:
    """One object: its UIDs, its bytes until it is acknowledged, and their digest for ever."""

    __slots__ = ("study", "series", "sop", "patient", "data", "digest", "acked")

    def __init__(self, study, series, sop, patient, data):
        self.study, self.series, self.sop, self.patient, self.data = study, series, sop, patient, data
        self.digest, self.acked = hashlib.sha256(data).hexdigest(), False


def uid(*numbers):
    return ".".join([ROOT, *map(str, numbers)])


def make_series(seed, number, count, pixel_bytes):
    """A study of one series."""
    rng = random.Random(f"{seed}.{number}")
    study, patient = uid(seed, number), f"P{seed}-{number}"
    series = f"{study}.1"
    return [Thing(study, series, f"{series}.{i}", patient, data_set(study, series, f"{series}.{i}", rng.randbytes(pixel_bytes), patient, i)) for i in range(1, count + 1)]


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.offered = set()  # all that may be there: some were stored by a node that was not alive to say so
        self.acked, self.faults, self.refusals, self.reads, self.read_errors, self.slowest = [], [], 0, 0, 0, 0.0
        self.calm = False  # nothing is broken now: no error is forgiven

    def offer(self, things):
        with self.lock:
            self.offered |= {t.sop for t in things}

    def ack(self, thing):
        with self.lock:
            thing.acked, thing.data = True, None
            self.acked.append(thing)

    def fault(self, text):
        with self.lock:
            if len(self.faults) < 50:
                self.faults.append(f"{time.strftime('%H:%M:%S')} {text}")
                print("FAULT", self.faults[-1], flush=True)

    def some(self):
        """One that was acknowledged: a late one as often as any."""
        with self.lock:
            return random.choice(self.acked[-50:] if random.random() < 0.5 else self.acked) if self.acked else None


class Worker(threading.Thread):
    def __init__(self, nodes, ledger):
        super().__init__(daemon=True)
        self.nodes, self.ledger, self.going = nodes, ledger, True

    def run(self):
        while self.going:
            try:
                self.step()
            except Exception as e:  # noqa: BLE001 - a thread that dies in silence would prove nothing
                self.ledger.fault(f"{type(self).__name__}: {type(e).__name__} {e}")
                time.sleep(0.5)

    def stop(self, timeout=90):
        self.going = False
        self.join(timeout)
        if self.is_alive():
            self.ledger.fault(f"{type(self).__name__} did not come to an end")


class Sender(Worker):
    """Sends series after series, each object until it is acknowledged, by whichever node is there."""

    def __init__(self, nodes, ledger, seed, count=12, pixel_bytes=40000, large_every=0, pause_s=0.02):
        super().__init__(nodes, ledger)
        self.seed, self.count, self.pixel_bytes, self.large_every, self.pause_s, self.number = seed, count, pixel_bytes, large_every, pause_s, 0

    def step(self):
        self.number += 1
        large = self.large_every and self.number % self.large_every == 0
        things = make_series(self.seed, self.number, 1 if large else random.randint(1, self.count), 18 << 20 if large else self.pixel_bytes)
        begun = time.monotonic()
        while todo := [t for t in things if not t.acked]:
            start = time.monotonic()
            try:
                self.send(random.choice(self.nodes), todo)
            except CUT as e:
                if time.monotonic() - start > 60:
                    self.ledger.fault(f"a sender was left without an answer for {time.monotonic() - start:.0f} s: {e}")
                time.sleep(random.uniform(0.05, 0.4))
            if time.monotonic() - begun > 180:
                return self.ledger.fault(f"{todo[0].sop} was not taken within 180 s")
            time.sleep(self.pause_s)
        self.ledger.slowest = max(self.ledger.slowest, time.monotonic() - begun)

    def refused(self, how, retryable):
        with self.ledger.lock:
            self.ledger.refusals += 1
        if not retryable:
            self.ledger.fault(f"refused for good: {how}")


class DicomSender(Sender):
    """C-STORE."""

    def send(self, node, things):
        self.ledger.offer(things)
        with gantry.Association(node.dicom_port, node.aet, [CT], [EXPLICIT], calling=f"SENDER{self.seed}"[:16], timeout=75) as association:
            for message, thing in enumerate(things, 1):
                try:
                    status = association.store(CT, thing.sop, thing.data, message)
                except (AssertionError, struct.error) as e:  # an abort in the place of a response
                    raise ConnectionError(str(e)) from e
                if status == 0:
                    self.ledger.ack(thing)
                else:
                    self.refused(f"C-STORE status {status:04X}", status in RETRYABLE)
                    time.sleep(0.2)


class WebSender(Sender):
    """STOW-RS."""

    def send(self, node, things):
        self.ledger.offer(things)
        body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part10(t.sop, t.data) + b"\r\n" for t in things) + b"--b--\r\n"
        headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', "Accept": "application/dicom+json"}
        status, answer_headers, answer = node.http("POST", "/dicom-web/studies", body=body, headers=headers, timeout=75)
        if status == 200:
            for thing in things:
                self.ledger.ack(thing)
            return
        if status in (202, 409):
            self.take_apart(things, json.loads(answer))
        elif status == 503:
            self.refused(f"503 without Retry-After: {answer[:200]}", "retry-after" in {k.lower() for k in answer_headers})
        else:
            self.refused(f"STOW-RS {status} {answer[:300]}", False)
        time.sleep(0.2)

    def take_apart(self, things, answer):
        stored = {i["00081155"]["Value"][0] for i in answer.get("00081199", {}).get("Value", [])}
        for item in answer.get("00081198", {}).get("Value", []):
            reason = item["00081197"]["Value"][0]
            self.refused(f"STOW-RS failure reason {reason:04X}", reason in RETRYABLE)
        for thing in things:
            if thing.sop in stored:
                self.ledger.ack(thing)


class Reader(Worker):
    """Looks up what was acknowledged, on any node: found, and with its bytes."""

    def step(self):
        thing = self.ledger.some()
        if not thing:
            time.sleep(0.05)
            return
        was_calm = self.ledger.calm
        try:
            random.choice((self.object, self.object, self.search, self.metadata))(random.choice(self.nodes), thing)
            with self.ledger.lock:
                self.ledger.reads += 1
        except CUT as e:
            with self.ledger.lock:
                self.ledger.read_errors += 1
            if was_calm and self.ledger.calm:
                self.ledger.fault(f"a reader was cut off while nothing was broken: {type(e).__name__} {e}")
            time.sleep(0.1)
        time.sleep(0.01)

    def get(self, node, path, accept):
        was_calm = self.ledger.calm
        status, _, body = node.http("GET", path, headers={"Accept": accept}, timeout=75)
        if status == 200:
            return body
        if status not in (500, 502, 503, 504) or was_calm and self.ledger.calm:
            self.ledger.fault(f"GET {path} on {node.name}: {status} {body[:200]}")
        raise ConnectionError(f"{status}")

    def object(self, node, thing):
        body = self.get(node, f"/dicom-web/studies/{thing.study}/series/{thing.series}/instances/{thing.sop}", "application/dicom; transfer-syntax=*")
        if hashlib.sha256(gantry.data_set_of(body)).hexdigest() != thing.digest:
            self.ledger.fault(f"{thing.sop} came back from {node.name} with other bytes")

    def search(self, node, thing):
        found = json.loads(self.get(node, f"/dicom-web/instances?SOPInstanceUID={thing.sop}", "application/dicom+json"))
        if len(found) != 1 or found[0]["0020000D"]["Value"] != [thing.study]:
            self.ledger.fault(f"{thing.sop} is found {len(found)} times on {node.name}")

    def metadata(self, node, thing):
        path = f"/dicom-web/studies/{thing.study}/series/{thing.series}" + random.choice(["", f"/instances/{thing.sop}"]) + "/metadata"
        found = json.loads(self.get(node, path, "application/dicom+json"))
        mine = [i for i in found if i["00080018"]["Value"] == [thing.sop]]
        if len(mine) != 1 or mine[0]["00100020"]["Value"] != [thing.patient]:
            self.ledger.fault(f"{thing.sop} is {len(mine)} times in {path} on {node.name}")


class Subscriber(Worker):
    """Server-sent events of one node after another, from where the one before ended."""

    def __init__(self, nodes, ledger, first):
        super().__init__(nodes, ledger)
        self.last, self.stored, self.node, self.connections = 0, {}, first, 0

    def step(self):
        try:
            self.listen(self.node)
        except CUT:
            pass
        time.sleep(0.2)
        self.node = random.choice(self.nodes)

    def listen(self, node):
        connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=20)
        try:
            connection.request("GET", "/events", headers={"Last-Event-ID": str(self.last)})
            answer = connection.getresponse()
            if answer.status != 200:
                return
            self.connections += 1
            event = {}
            while self.going:
                line = answer.readline()
                if not line:
                    return
                if line == b"\n":
                    self.take(event, node)
                    event = {}
                elif found := re.match(rb"(id|event|data): (.*)\n", line):
                    event[found.group(1)] = found.group(2)
        finally:
            connection.close()

    def take(self, event, node):
        if b"data" not in event:
            return
        data = json.loads(event[b"data"])
        if data["seq"] != self.last + 1 or int(event[b"id"]) != data["seq"]:
            self.ledger.fault(f"event {data['seq']} after {self.last} from {node.name}")
        self.last = data["seq"]
        if data["type"] == "instance.stored":
            if data["instance"] in self.stored:
                self.ledger.fault(f"{data['instance']} is stored twice: events {self.stored[data['instance']]} and {data['seq']}")
            self.stored[data["instance"]] = data["seq"]
