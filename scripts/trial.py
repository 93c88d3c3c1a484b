"""A trial of three nodes on this machine, without containers: PostgreSQL, an S3 service, three servers, HAProxy, demonstration studies.

Everything is on loopback and lies in one directory. While it runs, programs read and store through the balancer without end and count what fails; Enter
kills a node as kill -9 does, and it is started again by and by.

    scripts/trial.sh [--gantry FILE] [--dir DIR] [--remove] [--kill N]
"""
import argparse
import contextlib
import getpass
import http.client
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import services  # noqa: E402

NAMES = ("a", "b", "c")
HTTP, DICOM = 8080, 11112  # of the balancer, when they are free
BACK_AFTER_S = 8           # a node that was killed is started again

NODE = """node: {name}
data: {data}
aet: GANTRY
auth: none
drain-seconds: 3
dicom: {{port: {dicom}}}
http: {{port: {http}}}
database:
  url: {url}
  schema: {schema}
store:
  s3: {{endpoint: "{endpoint}", bucket: {bucket}, prefix: {schema}/, access-key: "{access_key}", secret-key: "{secret_key}"}}
  cache-gib: 1
"""


def port_or_free(wanted):
    return wanted if not services.answers(wanted) else services.free_ports(1)[0]


class Node:
    def __init__(self, gantry, folder, name, known, schema):
        self.gantry, self.name, self.folder, self.process = gantry, name, Path(folder), None
        self.http, self.dicom = services.free_ports(2)
        self.config = self.folder / f"{name}.yaml"
        self.config.write_text(NODE.format(name=name, data=self.folder / name, http=self.http, dicom=self.dicom, url=known["postgres"]["url"],
                                           schema=schema, **known["s3"]))

    def start(self):
        log = open(self.folder / f"{self.name}.log", "ab")
        # its own group: Ctrl-C is for this program, which then stops the nodes one after the other
        self.process = subprocess.Popen([self.gantry, "serve", "--config", str(self.config)], stdout=log, stderr=log, start_new_session=True)
        log.close()

    def await_ready(self, timeout=180):
        end = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < end:
            if state_of(self) == "ready":
                return
            time.sleep(0.1)
        raise RuntimeError(f"node {self.name} did not come up:\n{(self.folder / f'{self.name}.log').read_text()[-1500:]}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()


def state_of(node):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", node.http, timeout=3)
        connection.request("GET", "/readyz")
        return "ready" if connection.getresponse().status == 200 else "not ready"
    except (OSError, http.client.HTTPException):
        return "dead"


class Balancer:
    """HAProxy with the configuration of deploy/, its servers on loopback."""

    def __init__(self, folder, nodes):
        self.http, self.dicom = port_or_free(HTTP), port_or_free(DICOM)
        text = (ROOT / "deploy" / "haproxy.cfg").read_text()
        text = re.sub(r"resolvers compose\n(    .*\n)+", "", text).replace(" resolvers compose init-addr libc,none", "").replace("check port 8080", "check")
        for node in nodes:
            text = text.replace(f"server {node.name} {node.name}:8080", f"server {node.name} 127.0.0.1:{node.http}")
            text = text.replace(f"server {node.name} {node.name}:11112", f"server {node.name} 127.0.0.1:{node.dicom} port {node.http}")
        text = text.replace("bind :8080", f"bind 127.0.0.1:{self.http}").replace("bind :11112", f"bind 127.0.0.1:{self.dicom}")
        self.config = Path(folder) / "haproxy.cfg"
        self.config.write_text(text)
        self.log = open(Path(folder) / "haproxy.log", "wb")
        self.process = subprocess.Popen(["haproxy", "-db", "-f", str(self.config)], stdout=self.log, stderr=self.log, start_new_session=True)
        services.wait_for("the balancer", lambda: services.answers(self.http) and services.answers(self.dicom))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


# ---- traffic ----

class Counts:
    def __init__(self):
        self.lock, self.requests, self.failed, self.stored, self.cut, self.last = threading.Lock(), 0, 0, 0, 0, ""

    def add(self, why=""):
        with self.lock:
            self.requests += 1
            self.failed += bool(why)
            self.last = why or self.last


class Reader(threading.Thread):
    """Searches, metadata, rendered images and whole objects, through the balancer."""

    def __init__(self, port, paths, counts, stop):
        super().__init__(daemon=True)
        self.port, self.paths, self.counts, self.stop = port, paths, counts, stop

    def ask(self, path, accept):
        """What failed, if anything; None: the node died in the middle of its answer, which no other can end for it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers={"Accept": accept})
            answer = connection.getresponse()
            try:
                body = answer.read()
            except (OSError, http.client.HTTPException):
                return None
            return "" if answer.status == 200 and body else f"{path}: {answer.status}"
        except (OSError, http.client.HTTPException) as e:
            return f"{path}: {e!r}"
        finally:
            connection.close()

    def run(self):
        while not self.stop.wait(0.02):
            path = random.choice(self.paths)
            why = self.ask(*path)
            if why is None:
                with self.counts.lock:
                    self.counts.cut += 1
                why = self.ask(*path)
            self.counts.add(f"{path[0]}: broke off twice" if why is None else why)


class Sender(threading.Thread):
    """Makes studies and sends them by DICOM, again when an association was cut: as modalities do."""

    def __init__(self, gantry, port, counts, stop, folder):
        super().__init__(daemon=True)
        self.gantry, self.port, self.counts, self.stop, self.folder = gantry, port, counts, stop, Path(folder)

    def send(self, study):
        return subprocess.run([self.gantry, "store", f"GANTRY@127.0.0.1:{self.port}", str(study)], capture_output=True, text=True).returncode == 0

    def run(self):
        seed = int(time.time()) % 1000000
        while not self.stop.wait(0.2):
            seed += 1
            study = self.folder / "sent"
            subprocess.run([self.gantry, "synth", "--kind", "mr", "--seed", str(seed), "--out", str(study)], check=True, capture_output=True)
            stored = False
            while not stored and not self.stop.is_set():
                stored = self.send(study)
                with self.counts.lock:
                    self.counts.cut += not stored
            with self.counts.lock:
                self.counts.stored += len(list(study.rglob("*.dcm"))) if stored else 0
            shutil.rmtree(study, ignore_errors=True)


def get_json(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Accept": "application/dicom+json"})
    return json.loads(connection.getresponse().read() or b"[]")


def paths_of(port):
    """What the readers ask for: of the first object of some series."""
    def uid(row, tag):
        return row[tag]["Value"][0]
    paths = [("/dicom-web/studies?limit=25", "application/dicom+json")]
    for row in get_json(port, "/dicom-web/series?limit=8"):
        series = f"/dicom-web/studies/{uid(row, '0020000D')}/series/{uid(row, '0020000E')}"
        paths.append((f"{series}/metadata", "application/dicom+json"))
        for found in get_json(port, f"{series}/instances?limit=1"):
            instance = f"{series}/instances/{uid(found, '00080018')}"
            paths += [(f"{instance}/rendered", "image/jpeg"), (instance, 'multipart/related; type="application/dicom"; transfer-syntax=*')]
    return paths


def instances(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics")
    return int(re.search(rb"^gantry_instances (\d+)", connection.getresponse().read(), re.M).group(1))


# ---- the course ----

def fill(gantry, folder, node):
    if (folder / ".demo").exists():
        return
    print("Making demonstration studies ...", flush=True)
    with tempfile.TemporaryDirectory() as made:
        subprocess.run([gantry, "synth", "--out", made, "--demo"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([gantry, "import", "--config", str(node.config), made], check=True, stdout=subprocess.DEVNULL)
    (folder / ".demo").touch()


def say(counts, nodes):
    states = ", ".join(f"{n.name} {state_of(n)} (pid {n.process.pid})" if n.process.poll() is None else f"{n.name} dead" for n in nodes)
    line = f"{counts.requests} requests, {counts.failed} failed; {counts.stored} objects stored, {counts.cut} associations or answers cut and begun again; {states}"
    end = "\r" if sys.stdout.isatty() else "\n"
    print(line.ljust(150), end=end, flush=True)


def kill_one(nodes, node=None):
    alive = [n for n in nodes if n.process.poll() is None]
    if len(alive) < 2:
        print("\nOne node is left: it is not killed.")
        return None
    node = node or random.choice(alive)
    node.process.kill()
    node.process.wait()
    print(f"\nNode {node.name} was killed (SIGKILL). It comes back in {BACK_AFTER_S} s.", flush=True)
    return node


def key_pressed(seconds):
    if not sys.stdin or not sys.stdin.isatty():
        time.sleep(seconds)
        return False
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready) and sys.stdin.readline() != ""


def watch(nodes, counts, kills):
    """kills: how many nodes to kill unasked before it ends; None: until Ctrl-C."""
    back, done, next_kill = {}, 0, time.monotonic() + 4
    while kills is None or done < kills or back:
        say(counts, nodes)
        pressed = key_pressed(1)
        if pressed or (kills is not None and done < kills and not back and time.monotonic() > next_kill):
            node = kill_one(nodes)
            done += 1
            if node:
                back[node] = time.monotonic() + BACK_AFTER_S
        for node in nodes:  # also one that somebody else killed
            if node.process.poll() is not None:
                back.setdefault(node, time.monotonic() + BACK_AFTER_S)
        for node in [n for n, at in back.items() if time.monotonic() > at]:
            node.start()
            node.await_ready()
            print(f"\nNode {node.name} is back.", flush=True)
            del back[node]
            next_kill = time.monotonic() + 3
    say(counts, nodes)


def introduce(balancer, folder, nodes, kills):
    print(f"""
Three nodes are up, on one PostgreSQL and one bucket, in {folder}:
  the page, DICOMweb   http://127.0.0.1:{balancer.http}/      (through the balancer)
  DICOM                GANTRY@127.0.0.1:{balancer.dicom}
  the nodes            {', '.join(f'{n.name} http://127.0.0.1:{n.http}/' for n in nodes)}
  their state          gantry cluster status --config {nodes[0].config}
Readers and a sender are at work. {'' if kills is not None else 'Enter kills a node, or kill -9 one yourself; Ctrl-C ends it all.'}
""", flush=True)


def course(options, folder, nodes):
    for node in nodes:
        node.start()
    for node in nodes:
        node.await_ready()
    fill(options.gantry, folder, nodes[0])
    balancer = Balancer(folder, nodes)
    counts, stop, before = Counts(), threading.Event(), instances(balancer.http)
    paths = paths_of(balancer.http)
    threads = [Reader(balancer.http, paths, counts, stop) for _ in range(3)] + [Sender(options.gantry, balancer.dicom, counts, stop, folder)]
    introduce(balancer, folder, nodes, options.kill)
    for thread in threads:
        thread.start()
    try:
        watch(nodes, counts, options.kill)
    except KeyboardInterrupt:
        print()
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        missing = max(0, counts.stored - (instances(balancer.http) - before))
        balancer.stop()
    print(f"{counts.requests} requests, {counts.failed} failed{': ' + counts.last if counts.failed else ''}; {counts.stored} objects stored, {missing} of them missing.")
    return 1 if counts.failed or missing else 0


def stop_nodes(nodes):
    for node in nodes:
        node.stop()
    for node in nodes:
        with contextlib.suppress(Exception):
            node.process.wait(60)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gantry", default=str(ROOT / "build" / "gantry"), help="the binary")
    parser.add_argument("--dir", default=f"{services.folder_with_attributes()}/gantry-trial-{getpass.getuser()}", help="where everything lies")
    parser.add_argument("--services", help="a directory of services that run already (scripts/dev-services)")
    parser.add_argument("--remove", action="store_true", help="take everything away at the end")
    parser.add_argument("--kill", type=int, metavar="N", help="kill N nodes one after the other, unasked, and end: 0 when no request failed")
    options = parser.parse_args()
    if not shutil.which("haproxy"):
        sys.exit("haproxy is not installed: scripts/install-packages.sh packaging/trial.packages")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(options.dir)
    folder.mkdir(parents=True, exist_ok=True)
    own = services.Services(options.services or folder / "services")
    print("Starting PostgreSQL and the S3 service ...", flush=True)
    own.start()
    nodes = []
    try:
        schema = f"trial_{os.getpid()}" if options.services else "gantry"
        nodes = [Node(options.gantry, folder, name, own.settings(), schema) for name in NAMES]
        code = course(options, folder, nodes)
    finally:
        stop_nodes(nodes)
        if not options.services:
            own.remove() if options.remove else own.stop()
        if options.remove:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


main()
