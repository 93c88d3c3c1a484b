"""A server that is told to stop: it says at once that it is not ready, finishes what is under way, refuses the rest politely, and loses nothing."""
import hashlib
import http.client
import json
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry  # noqa: E402
import objects  # noqa: E402
from gantry import Association, Server  # noqa: E402

GRACE_S = 10
IMPLICIT = "1.2.840.10008.1.2.1"


def make(folder, name, side, **attributes):
    path = folder / name
    return objects.save(objects.image(np.random.default_rng(side).integers(0, 4096, (side, side)), **attributes), path)


def ready(server):
    status, _, body = server.http("GET", "/readyz", timeout=60)
    return status, json.loads(body)


class SlowStore:
    """A C-STORE whose data set comes in two halves."""

    def __init__(self, server, path):
        part10 = Path(path).read_bytes()
        self.data = gantry.data_set_of(part10)
        self.sop_instance = objects.pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
        self.association = Association(server.dicom_port, server.aet, [objects.SECONDARY], transfer_syntaxes=(IMPLICIT,), timeout=60)

    def begin(self):
        a = self.association
        command = a.command([(0x0002, objects.SECONDARY), (0x0100, 1), (0x0110, 1), (0x0700, 0), (0x0800, 0), (0x1000, str(self.sop_instance))])
        a.socket.sendall(struct.pack(">BBIIBB", 4, 0, len(command) + 6, len(command) + 2, 1, 3) + command)
        self.send(self.data[: len(self.data) // 2], last=False)

    def send(self, data, last):
        for at in range(0, len(data), 16000):
            part = data[at : at + 16000]
            flags = 2 if last and at + 16000 >= len(data) else 0
            self.association.socket.sendall(struct.pack(">BBIIBB", 4, 0, len(part) + 6, len(part) + 2, 1, flags) + part)

    def finish(self):
        self.send(self.data[len(self.data) // 2 :], last=True)
        return self.association.status()


def begin_download(server, path):
    """The answer to a retrieve of one whole object, of which a little has been read."""
    ds = objects.pydicom.dcmread(path, stop_before_pixels=True)
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    url = f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    connection.request("GET", url, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    return answer, answer.read(100_000)


def rejection(server):
    """(result, source, reason) of the A-ASSOCIATE-RJ that a new association gets, or what it was instead."""
    try:
        with Association(server.dicom_port, server.aet, ["1.2.840.10008.1.1"]) as a:
            a.echo()
        return "accepted"
    except ConnectionError as e:
        return str(e).rsplit(" ", 1)[-1]


def what_is_under_way_is_finished(folder):
    large, small, later = make(folder, "large.dcm", 4000), make(folder, "small.dcm", 600), make(folder, "later.dcm", 60)
    config = folder / "drain.yaml"
    config.write_text(f"drain-seconds: {GRACE_S}\ndeadline-seconds: 120\n")
    with Server(folder / "data", config=config) as server:
        server.store([large.read_bytes()])
        assert ready(server) == (200, {"node": ready(server)[1]["node"], "version": ready(server)[1]["version"], "state": "ready", "reasons": [], "ready": True})
        slow, next_one = SlowStore(server, small), SlowStore(server, later)
        next_one.association.release()
        slow.begin()
        answer, head = begin_download(server, large)
        server.process.send_signal(signal.SIGTERM)
        start = time.monotonic()
        while ready(server)[0] != 503:
            assert time.monotonic() - start < GRACE_S / 2, "still ready"
        assert ready(server)[1]["state"] == "draining" and ready(server)[1]["reasons"] == ["shutting down"]
        assert server.http("GET", "/healthz")[0] == 200, "alive all the same"
        assert rejection(server) == "accepted", "a balancer has not noticed yet"
        while (told := rejection(server)) == "accepted":
            assert time.monotonic() - start < GRACE_S + 60, "still taken"
            time.sleep(0.2)
        assert told == "00020302", f"{told}: rejected transient, by the presentation related function, local limit exceeded (PS3.8 9.3.4)"
        assert slow.finish() == 0
        slow.data, slow.sop_instance = next_one.data, next_one.sop_instance
        slow.begin()
        assert slow.finish() == 0, "an association that is at work goes on"
        slow.association.release()
        body = head + answer.read()
        begin = body.index(b"\r\n\r\n") + 4
        want = large.read_bytes()
        assert hashlib.sha256(body[begin : begin + len(want)]).digest() == hashlib.sha256(want).digest(), "the download was cut or changed"
        server.process.wait(180)
        assert server.process.returncode == 0, server.process.returncode
    with Server(folder / "data") as server:
        assert len(server.get_json("/dicom-web/instances")) == 3


def who_rests_does_not_hold_it_up(folder):
    config = folder / "rest.yaml"
    config.write_text("deadline-seconds: 150\n")
    with Server(folder / "rest", config=config) as server:
        idle = Association(server.dicom_port, server.aet, ["1.2.840.10008.1.1"])
        assert idle.echo() == 0
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 75, "an association at rest held up the stop"
        kind, _ = idle.receive()
        assert kind == 7, f"an A-ABORT was due, not {kind}"


def the_deadline_ends_what_does_not_end(folder):
    small = make(folder, "endless.dcm", 600)
    config = folder / "deadline.yaml"
    config.write_text("deadline-seconds: 1\n")
    with Server(folder / "deadline", config=config) as server:
        slow = SlowStore(server, small)
        slow.begin()
        start = time.monotonic()
        assert server.stop() == 0
        assert 1 <= time.monotonic() - start < 18  # of the 20 s that others are given


def a_second_signal_ends_at_once(folder):
    config = folder / "grace.yaml"
    config.write_text("drain-seconds: 60\n")
    server = Server(folder / "second", config=config)
    server.process.send_signal(signal.SIGTERM)
    while ready(server)[0] != 503:
        time.sleep(0.01)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(50) == -signal.SIGTERM


def a_request_to_read_certificates_again_does_not_cut_the_end_short(folder):
    config = folder / "reload.yaml"
    config.write_text("drain-seconds: 1\n")
    server = Server(folder / "reload", config=config)
    server.process.send_signal(signal.SIGTERM)
    try:
        while ready(server)[0] != 503:
            time.sleep(0.01)
    except OSError:
        pass  # the second is over
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(50) == 0


def main():
    if gantry.on_cluster():
        gantry.skip("one node on its own; several are drained in tests of theirs")
    with tempfile.TemporaryDirectory() as top:
        for test in (what_is_under_way_is_finished, who_rests_does_not_hold_it_up, the_deadline_ends_what_does_not_end, a_second_signal_ends_at_once,
                     a_request_to_read_certificates_again_does_not_cut_the_end_short):
            test(Path(top))
            print(f"ok {test.__name__.replace('_', ' ')}")


main()
