#!/usr/bin/env python3
"""A crowd: 200 storing and 1,000 idle associations and 500 slow sockets, and C-ECHO is still answered soon: who serves the crowd first keeps it until all are gone."""
import os
import resource
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

# CROWD="IDLE STORING SLOW SECONDS" in the environment: a smaller one, for a build that is slow or has other ends.
IDLE, STORING, SLOW, SECONDS = (int(n) for n in os.environ.get("CROWD", "1000 200 500 12").split())
CT = "1.2.840.10008.5.1.4.1.1.2"


def element(group, number, vr, value):
    value = value.encode() + (b"\0" if vr == "UI" and len(value) & 1 else b" " if len(value) & 1 else b"")
    return group.to_bytes(2, "little") + number.to_bytes(2, "little") + vr.encode() + len(value).to_bytes(2, "little") + value


def small_object(sender, number):
    uid = f"1.2.3.{sender}.{number}"
    data = element(8, 0x16, "UI", CT) + element(8, 0x18, "UI", uid) + element(8, 0x60, "CS", "CT") + element(0x10, 0x10, "PN", "Crowd^Test")
    data += element(0x10, 0x20, "LO", f"C{sender}") + element(0x20, 0x0D, "UI", f"1.2.3.{sender}") + element(0x20, 0x0E, "UI", f"1.2.3.{sender}.0")
    return uid, data


def store_slowly(server, sender, end, stored, failures):
    try:
        with gantry.Association(server.dicom_port, server.aet, [CT], ["1.2.840.10008.1.2.1"], timeout=120) as association:
            number = 0
            while time.monotonic() < end:
                number += 1
                uid, data = small_object(sender, number)
                status = association.store(CT, uid, data)
                if status != 0:
                    failures.append(f"C-STORE status {status:04X}")
                    return
                stored.append(uid)
                time.sleep(0.5)
    except (OSError, AssertionError) as error:
        failures.append(f"sender {sender}: {error}")


def dribble(port, end):
    """A web client that sends its request one byte a second."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
            for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaa":
                if time.monotonic() > end:
                    return
                s.sendall(bytes([byte]))
                time.sleep(1)
    except OSError:
        pass  # being cut off is what it deserves


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    threading.stack_size(256 * 1024)
    with tempfile.TemporaryDirectory() as folder, gantry.Server(Path(folder) / "data") as server:
        before_kib = server.memory_kib()
        idle = [gantry.Association(server.dicom_port, server.aet, ["1.2.840.10008.1.1"], calling=f"IDLE{i}", timeout=120) for i in range(IDLE)]
        end, stored, failures = time.monotonic() + SECONDS, [], []
        threads = [threading.Thread(target=dribble, args=(server.http_port, end)) for _ in range(SLOW)]
        threads += [threading.Thread(target=store_slowly, args=(server, i + 1, end, stored, failures)) for i in range(STORING)]
        for t in threads:
            t.start()
        time.sleep(3)
        echoes, answers = [], []
        while time.monotonic() < end - 1:
            echoes.append(server.echo())
            start = time.monotonic()
            status, _, _ = server.http("GET", "/healthz", timeout=60)
            answers.append(time.monotonic() - start)
            assert status == 200, f"/healthz: {status}"
            time.sleep(0.2)
        growth = server.memory_kib() - before_kib
        for t in threads:
            t.join()
        assert not failures, f"{len(failures)} senders failed, such as: {failures[:3]}"
        late = [i for i, a in enumerate(idle) if a.echo() != 0]
        assert not late, f"{len(late)} idle associations do not answer"
        for a in idle:
            a.socket.close()
        print(f"{len(stored)} objects stored; C-ECHO at most {max(echoes):.3f} s of {len(echoes)}; HTTP at most {max(answers):.3f} s; memory +{growth / 1024:.0f} MiB")
        usual = sorted(echoes)[len(echoes) // 2]  # a busy machine may keep one or another waiting; a server that serves the crowd first keeps all
        assert usual < SECONDS / 3, f"C-ECHO took {usual:.2f} s, at most {max(echoes):.2f} s"


main()
