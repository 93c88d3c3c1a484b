#!/usr/bin/python3
"""PostgreSQL and OpenStack Swift with its S3 API, each in one directory on loopback, for developers and tests.

    services.py start [--dir DIR] [--quick] [--owner PID]   starts what is not running yet and prints the settings
    services.py stop [--dir DIR] [--remove]                 stops it by its process ids
    services.py status|env [--dir DIR]                      what runs; the settings as shell variables
    services.py where                                       a folder in which such a directory may lie

--quick: nothing is flushed to the disk, for tests that do not pull the plug. --owner: everything is stopped and removed when that process is gone.
Settings lie in DIR/services.json and DIR/services.env. Exit code 77: a Debian package of packaging/test.packages is missing.
"""
import argparse
import contextlib
import fcntl
import getpass
import glob
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import ports  # noqa: E402
import s3  # noqa: E402

ACCESS_KEY, SECRET_KEY, BUCKET = "test:tester", "testing", "gantry-test"


class Missing(Exception):
    pass


def postgres_program(name):
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    if not found:
        raise Missing("postgresql is not installed")
    return found[-1]


def need_programs():
    postgres_program("postgres")
    for name in ("swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "memcached"):
        if not shutil.which(name):
            raise Missing(f"{name} is not installed")


def unprivileged(command):
    """PostgreSQL and memcached refuse root: they get the user that came with the package."""
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command] if os.geteuid() == 0 else command


def give_away(path):
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(path, user.pw_uid, user.pw_gid)


def free_ports(n):
    return ports.keep(n)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


def tree(pid):
    """A process and all that descend from it."""
    found = [pid]
    for p in found:
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{p}/task").iterdir():
                found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


def wait_for(what, condition, timeout=180):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come up within {timeout} s")
        time.sleep(0.05)


class Process:
    """One service: a command, its log and its process id in files, so that another run of this script finds it."""

    def __init__(self, folder, name, command, port, env=None):
        self.name, self.command, self.port, self.env = name, command, port, env
        self.log, self.pid_file = Path(folder) / "logs" / f"{name}.log", Path(folder) / f"{name}.pid"

    def pid(self):
        """None when it does not run. A number that another program has by now is not taken for it."""
        try:
            pid, start = self.pid_file.read_text().split()
            stat = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        except (OSError, ValueError):
            return None
        return int(pid) if stat[19] == start and stat[0] != "Z" else None

    def start(self):
        if self.pid():
            return
        with open(self.log, "ab") as log:
            process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=self.env)
        stat = Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        self.pid_file.write_text(f"{process.pid} {stat[19]}\n")

    def wait_ready(self):
        try:
            wait_for(self.name, lambda: answers(self.port) or not self.pid())
        finally:
            if not answers(self.port):
                sys.stderr.write(f"{self.log}:\n{self.log.read_text()[-2000:]}\n")
        if not self.pid():
            raise RuntimeError(f"{self.name} ended at once: {self.log}")

    def stop(self, how=signal.SIGTERM, timeout=20):
        pid = self.pid()
        if pid:
            family = tree(pid)
            for p in family:
                with contextlib.suppress(OSError):
                    os.kill(p, signal.SIGCONT)  # what is suspended would not hear the rest
            with contextlib.suppress(OSError):
                os.kill(pid, how)
            end = time.monotonic() + timeout
            while any(alive(p) for p in family) and time.monotonic() < end:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(-1, os.WNOHANG)
                time.sleep(0.02)
            for p in family:
                with contextlib.suppress(OSError):
                    os.kill(p, signal.SIGKILL) if alive(p) else None
        self.pid_file.unlink(missing_ok=True)

    def suspend(self):
        for p in tree(self.pid()):
            with contextlib.suppress(OSError):
                os.kill(p, signal.SIGSTOP)

    def resume(self):
        for p in tree(self.pid()):
            with contextlib.suppress(OSError):
                os.kill(p, signal.SIGCONT)


class Postgres:
    """One PostgreSQL; superuser gantry, trusted on loopback; database gantry. settings: more lines of postgresql.conf."""

    def __init__(self, folder, port, quick=False, settings=None):
        self.folder, self.port, self.quick, self.settings = Path(folder), port, quick, settings or {}
        self.data = self.folder / "postgres"
        self.process = Process(folder, "postgres", unprivileged([postgres_program("postgres"), "-D", str(self.data)]), port)
        self.url = f"postgresql://gantry@127.0.0.1:{port}/gantry"

    def create(self):
        if (self.data / "postgresql.conf").exists():
            return
        self.data.mkdir(exist_ok=True)
        give_away(self.data)
        subprocess.run(unprivileged([postgres_program("initdb"), "-D", str(self.data), "-U", "gantry", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]),
                       check=True, capture_output=True, cwd="/")
        sync = "off" if self.quick else "on"
        lines = {"listen_addresses": "'127.0.0.1'", "port": self.port, "unix_socket_directories": "''", "max_connections": 300, "shared_buffers": "'128MB'",
                 "fsync": sync, "synchronous_commit": sync, "full_page_writes": sync, "max_wal_size": "'1GB'", "max_locks_per_transaction": 256,
                 "logging_collector": "off", "log_min_messages": "warning", "log_line_prefix": "'%m %p '", "jit": "off", **self.settings}
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as f:
            f.writelines(f"{name} = {value}\n" for name, value in lines.items())

    def start(self):
        self.create()
        if not self.process.pid():
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        self.process.start()

    def ready(self):
        self.process.wait_ready()
        made = self.folder / "postgres.made"
        wait_for("postgres", lambda: self.sql("SELECT 1", "postgres", check=False).returncode == 0)
        if not made.exists():
            self.sql("CREATE DATABASE gantry", "postgres")
            made.touch()

    def sql(self, text, database="gantry", check=True):
        command = [postgres_program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "gantry", "-d", database, "-c", text]
        result = subprocess.run(command, capture_output=True, text=True)
        if check and result.returncode:
            raise RuntimeError(f"{text}: {result.stderr}")
        return result

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast; SIGQUIT: at once, to be recovered from the log; SIGKILL: as when the machine goes."""
        self.process.stop(how)


SWIFT_CONF = "[swift-hash]\nswift_hash_path_prefix = gantry\nswift_hash_path_suffix = gantry\n"
BACKEND_CONF = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
recon_cache_path = {folder}/cache
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = WARNING
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY_CONF = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
storage_domain = s3.localhost
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""
RINGS = """
import sys
from swift.common.ring import RingBuilder
for kind, port in zip(("account", "container", "object"), sys.argv[2:]):
    ring = RingBuilder(4, 1, 0)
    ring.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "one", "weight": 1})
    ring.rebalance()
    ring.get_ring().save(f"{sys.argv[1]}/{kind}.ring.gz")
"""


class Swift:
    """OpenStack Swift with one device and one replica: proxy, account, container and object server, each one process, and memcached."""

    def __init__(self, folder, ports):
        self.top, self.folder, self.ports = Path(folder), Path(folder) / "swift", ports
        kinds = ("account", "container", "object", "proxy")
        # Debian's own interpreter whatever comes first on the path; -v logs to the standard output
        self.processes = [Process(folder, f"swift-{kind}", [shutil.which(f"swift-{kind}-server"), str(self.folder / f"{kind}.conf"), "-v"], port)
                          for kind, port in zip(kinds, ports)]
        self.processes.append(Process(folder, "memcached", unprivileged([shutil.which("memcached"), "-l", "127.0.0.1", "-p", str(ports[4]), "-U", "0", "-m", "16", "-t", "1"]), ports[4]))
        self.endpoint = f"http://127.0.0.1:{ports[3]}"

    def create(self):
        if (self.folder / "proxy.conf").exists():
            return
        (self.folder / "devices" / "one").mkdir(parents=True, exist_ok=True)
        (self.folder / "cache").mkdir(exist_ok=True)
        try:
            os.setxattr(self.folder / "devices", "user.gantry", b"x" * 1000)
        except OSError as e:
            raise RuntimeError(f"{self.folder} is on a file system without extended user attributes ({e.strerror}), which Swift needs: name another with --dir") from e
        subprocess.run(["/usr/bin/python3", "-c", RINGS, str(self.folder), *map(str, self.ports[:3])], check=True)
        user = pwd.getpwuid(os.geteuid()).pw_name
        (self.folder / "swift.conf").write_text(SWIFT_CONF)
        for kind, port in zip(("account", "container", "object"), self.ports):
            (self.folder / f"{kind}.conf").write_text(BACKEND_CONF.format(kind=kind, port=port, user=user, folder=self.folder))
        (self.folder / "proxy.conf").write_text(PROXY_CONF.format(port=self.ports[3], memcached=self.ports[4], user=user, folder=self.folder, secret=SECRET_KEY))

    def start(self):
        self.create()
        for process in self.processes:
            process.start()

    def ready(self):
        for process in self.processes:
            process.wait_ready()
        client = s3.Client(self.endpoint, ACCESS_KEY, SECRET_KEY, BUCKET)
        wait_for("the S3 service", lambda: client.request("PUT", "")[0] in (200, 409))

    def stop(self):
        for process in self.processes:
            process.stop(signal.SIGKILL)


class Services:
    def __init__(self, folder, quick=False):
        self.folder = Path(folder).resolve()
        self.settings_file = self.folder / "services.json"
        if self.settings_file.exists():
            known = json.loads(self.settings_file.read_text())
            ports, quick = known["ports"], known["quick"]
        else:
            ports = free_ports(6)
        self.ports, self.quick = ports, quick
        self.postgres, self.swift = Postgres(self.folder, ports[5], quick), Swift(self.folder, ports)

    def start(self):
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.settings_file.write_text(json.dumps(self.settings(), indent=2) + "\n")
            (self.folder / "services.env").write_text("".join(f"export {k}='{v}'\n" for k, v in self.environment().items()))
            troubles = []
            both = [threading.Thread(target=self.bring_up, args=(s, troubles)) for s in (self.postgres, self.swift)]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join()
            if troubles:
                raise troubles[0]

    @staticmethod
    def bring_up(service, troubles):
        try:
            service.start()
            service.ready()
        except Exception as e:  # noqa: BLE001 - told by the caller's thread
            troubles.append(e)

    def stop(self):
        self.swift.stop()
        self.postgres.stop()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def running(self):
        return [p.name for p in [self.postgres.process, *self.swift.processes] if p.pid()]

    def settings(self):
        return {"postgres": {"url": self.postgres.url}, "quick": self.quick, "ports": self.ports,
                "s3": {"endpoint": self.swift.endpoint, "region": "us-east-1", "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "bucket": BUCKET}}

    def environment(self):
        return {"GANTRY_TEST_SERVICES": str(self.folder), "GANTRY_TEST_POSTGRES": self.postgres.url, "GANTRY_TEST_S3_ENDPOINT": self.swift.endpoint,
                "GANTRY_TEST_S3_ACCESS_KEY": ACCESS_KEY, "GANTRY_TEST_S3_SECRET_KEY": SECRET_KEY, "GANTRY_TEST_S3_BUCKET": BUCKET}


def folder_with_attributes():
    """Where directories of services may lie: the first usual place whose file system has user attributes of the size that Swift keeps."""
    for parent in (os.environ.get("TMPDIR", "/tmp"), "/tmp", "/var/tmp"):
        with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=parent) as f:
            os.setxattr(f.name, "user.gantry", b"x" * 1000)
            return parent
    return "/tmp"


def guard(folder, owner):
    """Waits for the owner's end and takes everything down."""
    while alive(owner) and (Path(folder) / "services.json").exists():
        time.sleep(2)
    if (Path(folder) / "services.json").exists():
        Services(folder).remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["start", "stop", "status", "env", "where", "guard"])
    parser.add_argument("--dir", default=f"{folder_with_attributes()}/gantry-services-{getpass.getuser()}")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--owner", type=int)
    parser.add_argument("--remove", action="store_true")
    options = parser.parse_args()
    folder = Path(options.dir)
    try:
        need_programs()
    except Missing as e:
        print(f"SKIP {e}: scripts/install-packages.sh packaging/test.packages", file=sys.stderr)
        sys.exit(77)
    if options.command == "where":
        print(folder_with_attributes())
    elif options.command == "guard":
        guard(folder, options.owner)
    elif options.command == "start":
        services = Services(folder, options.quick)
        services.start()
        if options.owner:
            subprocess.Popen([sys.executable, __file__, "guard", "--dir", str(services.folder), "--owner", str(options.owner)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        print(f"{services.folder / 'services.json'}\n{services.settings_file.read_text()}", end="")
    elif not (folder / "services.json").exists():
        print(f"no services in {folder}")
        sys.exit(0 if options.command == "stop" else 1)
    elif options.command == "stop":
        Services(folder).remove() if options.remove else Services(folder).stop()
    elif options.command == "env":
        print((folder / "services.env").read_text(), end="")
    else:
        print("\n".join(Services(folder).running()) or "stopped")


if __name__ == "__main__":
    main()
