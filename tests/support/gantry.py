"""What interop and system tests share: a server on free ports, HTTP, a minimal DIMSE client, and where things are.

The binary is named by the environment variable GANTRY; LOAD names the load generator. A test that lacks what it needs calls skip().
With GANTRY_ENGINE=cluster an archive's index is in PostgreSQL and its volumes are in a bucket, of services that GANTRY_TEST_SERVICES names.
"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cluster
import ports

ROOT = Path(__file__).resolve().parent.parent.parent
GANTRY = os.environ.get("GANTRY", str(ROOT / "build" / "gantry"))
LOAD = os.environ.get("LOAD", str(ROOT / "build-san" / "tests" / "bench" / "load"))
DATA = ROOT.parent / "shared" / "data"


def skip(reason):
    print(f"SKIP {reason}")
    sys.exit(77)


def need_data(*parts):
    path = DATA.joinpath(*parts)
    if not path.exists():
        skip(f"reference data are not there: {'/'.join(parts)}")
    return path


def need_tools(*names):
    for name in names:
        if not shutil.which(name):
            skip(f"{name} is not installed")


def free_port():
    return ports.keep(1)[0]


def on_cluster():
    if os.environ.get("GANTRY_ENGINE") != "cluster":
        return False
    if not cluster.settings():
        skip("PostgreSQL and the S3 service are not started: tests/run starts them, or scripts/dev-services")
    return True


def archive(folder, config=None):
    """The options that name a folder's archive to any command: the folder itself, or on the cluster a configuration that lies in it."""
    config = config or encrypted_beside(folder)
    if on_cluster():
        return ["--config", str(cluster.configuration(folder, config))]
    return ["--data", str(folder), *(["--config", str(config)] if config else [])]


def encrypted_beside(folder):
    """GANTRY_TEST_ENCRYPTED names a cipher: a configuration beside the folder that has everything in it encrypted, under a master key of its own."""
    cipher = os.environ.get("GANTRY_TEST_ENCRYPTED")
    if not cipher:
        return None
    config, key = Path(f"{folder}.encryption.yaml"), Path(f"{folder}.master.key")
    if not key.exists():
        subprocess.run([GANTRY, "key", "new", str(key)], check=True, stdout=subprocess.DEVNULL)
        config.write_text(f"encryption:\n  master-key: {key}\n  cipher: {cipher}\n")
    return config


def answer_of(connection, method, path, body=None, headers=None):
    """(status, headers, body) of one request on a connection of http.client, which is closed after it."""
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


class Server:
    """`gantry serve` on loopback; the ready line gives the real ports. Stopped by its own process id. named: the options that name its archive."""

    def __init__(self, data, *options, config=None, named=None, binary=None, env=None, auth=False, timeout=180, prepare=None):
        self.data = str(data)
        command = [binary or GANTRY, "serve", *(named or archive(data, config)), "--dicom-port", "0", "--http-port", "0", *options]
        if not auth:
            command += ["--auth", "none"]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env={**os.environ, **(env or {})}, text=True,
                                        preexec_fn=prepare)
        self.ready = self.printed = ""
        self.token = None
        timer = threading.Timer(timeout, self.process.kill)
        timer.start()
        for line in self.process.stdout:
            self.printed += line
            token = re.search(r"[0-9a-f]{64}|[A-Za-z0-9_-]{43}", line)
            if line.startswith("ready"):
                self.ready = line
                break
            if token:
                self.token = token.group(0)
        timer.cancel()
        if not self.ready:
            self.process.wait()
            raise RuntimeError(f"the server did not start: {self.stderr()[-2000:]}")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        dicom = re.search(r"dicom=(\S+)@\S+?:(\d+)\b", self.ready)
        self.aet, self.dicom_port = dicom.group(1), int(dicom.group(2))
        self.http_port = int(re.search(r"http=https?://[^:]+:(\d+)", self.ready).group(1))

    def stderr(self):
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode("utf-8", "replace")  # the server writes at the descriptor's position: it stays

    def logged(self, pattern, seconds=60):
        """Waits for a line: it may come after the answer that it tells of."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.stderr()):
            assert time.monotonic() < end, f"{pattern} is not in the log: {self.stderr()[-3000:]}"
            time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=180):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError("the server did not stop on SIGTERM")
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            code = self.stop()
            assert code == 0, f"the server exited with {code}: {self.stderr()[-3000:]}"
        else:
            self.kill()
            print(self.stderr()[-3000:], file=sys.stderr)

    def http(self, method, path, body=None, headers=None, timeout=120):
        """(status, headers, body) of one request."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return answer_of(http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout), method, path, body, headers)

    def store(self, objects, expect=200):
        """Stores Part 10 objects (bytes) by STOW-RS: all of them, or the test fails. expect: another status is wanted."""
        body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n" for data in objects) + b"--b--\r\n"
        status, _, answer = self.http("POST", "/dicom-web/studies", body=body, headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'})
        assert status == expect, f"{status} {answer[:500]}"

    def get_json(self, path):
        status, _, body = self.http("GET", path, headers={"Accept": "application/dicom+json, application/json"})
        assert status == 200, f"GET {path}: {status} {body[:300]}"
        return json.loads(body)

    def echo(self, timeout=60):
        """Seconds that a C-ECHO takes, association included. Raises when there is no answer."""
        start = time.monotonic()
        with Association(self.dicom_port, self.aet, ["1.2.840.10008.1.1"], timeout=timeout) as association:
            status = association.echo()
        assert status == 0, f"C-ECHO status {status:04X}"
        return time.monotonic() - start

    def memory_kib(self):
        """Anonymous memory of the process and its children."""
        total, todo = 0, [self.process.pid]
        while todo:
            pid = todo.pop()
            try:
                status = Path(f"/proc/{pid}/status").read_text()
                todo += [int(p) for t in Path(f"/proc/{pid}/task").iterdir() for p in (t / "children").read_text().split()]
            except OSError:
                continue
            total += int(re.search(r"RssAnon:\s+(\d+)", status).group(1))
        return total

    def cpu_s(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def item(kind, body):
    return struct.pack(">BBH", kind, 0, len(body)) + body


class Association:
    """The least of an association requestor: enough to echo, to store and to hold a connection open."""

    def __init__(self, port, called, sop_classes, transfer_syntaxes=("1.2.840.10008.1.2",), calling="TEST", timeout=60, identity=None, tls=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if tls:
                self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
            self.ask(called, sop_classes, transfer_syntaxes, calling, identity)
        except BaseException:
            self.socket.close()
            raise

    def ask(self, called, sop_classes, transfer_syntaxes, calling, identity):
        contexts = b""
        for i, sop_class in enumerate(sop_classes):
            body = struct.pack(">BBBB", 2 * i + 1, 0, 0, 0) + item(0x30, sop_class.encode())
            contexts += item(0x20, body + b"".join(item(0x40, ts.encode()) for ts in transfer_syntaxes))
        user = item(0x51, struct.pack(">I", 65536)) + item(0x52, b"1.2.3.4.5.6")
        if identity:  # type, primary and secondary field (PS3.7 D.3.3.7); a positive response is asked for
            kind, first, second = identity
            user += item(0x58, struct.pack(">BBH", kind, 1, len(first)) + first + struct.pack(">H", len(second)) + second)
        body = struct.pack(">HH", 1, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
        body += item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + item(0x50, user)
        self.socket.sendall(struct.pack(">BBI", 1, 0, len(body)) + body)
        kind, answer = self.receive()
        if kind != 2:
            raise ConnectionError(f"association not accepted: PDU type {kind} {answer.hex()}")
        self.accepted = answer
        self.sop_classes = sop_classes

    def receive(self):
        head = self.exactly(6)
        kind, length = head[0], struct.unpack(">I", head[2:])[0]
        return kind, self.exactly(length)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise ConnectionError("the peer closed the connection")
            data += part
        return data

    @staticmethod
    def command(elements):
        body = b""
        for element, value in elements:
            if isinstance(value, int):
                value = struct.pack("<H", value)
            elif isinstance(value, str):
                value = value.encode() + (b"\0" if len(value) & 1 else b"")
            body += struct.pack("<HHI", 0, element, len(value)) + value
        return struct.pack("<HHII", 0, 0, 4, len(body)) + body

    def send(self, context, command, data=None, fragment=16000):
        out = struct.pack(">BBIIBB", 4, 0, len(command) + 6, len(command) + 2, context, 3) + command
        for at in range(0, len(data or b""), fragment):
            part = data[at:at + fragment]
            flags = 2 if at + fragment >= len(data) else 0
            out += struct.pack(">BBIIBB", 4, 0, len(part) + 6, len(part) + 2, context, flags) + part
        self.socket.sendall(out)

    def status(self):
        kind, body = self.receive()
        assert kind == 4, f"PDU type {kind} instead of P-DATA-TF"
        at = 6
        while at + 8 <= len(body):
            group, element, length = struct.unpack_from("<HHI", body, at)
            if (group, element) == (0, 0x0900):
                return struct.unpack_from("<H", body, at + 8)[0]
            at += 8 + length
        raise AssertionError("a response without Status")

    def echo(self):
        self.send(1, self.command([(0x0002, "1.2.840.10008.1.1"), (0x0100, 0x0030), (0x0110, 1), (0x0800, 0x0101)]))
        return self.status()

    def store(self, sop_class, sop_instance, data, message=1):
        context = 2 * self.sop_classes.index(sop_class) + 1
        self.send(context, self.command([(0x0002, sop_class), (0x0100, 0x0001), (0x0110, message), (0x0700, 0), (0x0800, 0), (0x1000, sop_instance)]), data)
        return self.status()

    def release(self):
        self.socket.sendall(struct.pack(">BBII", 5, 0, 4, 0))
        self.receive()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.release()
        finally:
            self.socket.close()


class MemoryWatch(threading.Thread):
    """Samples the server's memory of its own and what it shares with its workers."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.peak, self.going = server, 0, True
        self.start_kib = server.memory_kib()

    def run(self):
        while self.going:
            try:
                self.peak = max(self.peak, self.server.memory_kib())
            except OSError:
                return
            time.sleep(0.02)


def data_set_of(part10):
    """The data set bytes of a Part 10 file: what follows the meta header."""
    assert part10[128:132] == b"DICM", "no Part 10 file"
    assert part10[132:138] == b"\x02\x00\x00\x00UL", "no group length"
    return part10[144 + struct.unpack("<I", part10[140:144])[0]:]


def run(*command, check=True, **options):
    """Runs gantry (or another program) and returns the completed process with text output."""
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(str(c) for c in command)} exited with {result.returncode}\n{result.stdout[-1500:]}\n{result.stderr[-1500:]}")
    return result
