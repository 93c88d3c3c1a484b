"""An archive on the real services: a schema and a prefix of the bucket of its own, and the configuration of its nodes.

GANTRY_TEST_SERVICES names the directory of the services (tests/run starts them once, or scripts/dev-services).
"""
import atexit
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import s3
import services

CONFIG = """node: {node}
data: {data}
drain-seconds: 0
database:
  url: {url}
  schema: {schema}
store:
  s3:
    endpoint: {endpoint}
    bucket: {bucket}
    prefix: {prefix}
    access-key: {access_key}
    secret-key: {secret_key}
{s3_more}{store_more}"""


def settings():
    """Where the services are; None when they are not started."""
    folder = os.environ.get("GANTRY_TEST_SERVICES")
    return json.loads((Path(folder) / "services.json").read_text()) if folder else None


def lines(values, indent):
    return "".join(f"{' ' * indent}{key}: {value}\n" for key, value in values.items())


class Home:
    """Where one archive lies. url, endpoint: of others than the shared services (a proxy before them)."""

    def __init__(self, url=None, endpoint=None, store=None):
        self.store = store or {}  # lines of the configuration's store
        known = settings()
        self.name = f"t{secrets.token_hex(6)}"
        self.url = url or known["postgres"]["url"]
        self.s3, self.endpoint = known["s3"], endpoint or known["s3"]["endpoint"]
        self.bucket = s3.Client(self.s3["endpoint"], self.s3["access_key"], self.s3["secret_key"], self.s3["bucket"])
        self.prefix = f"{self.name}/"
        atexit.register(self.drop)

    def write(self, path, data, node="one", store=None, s3_more=None, more=""):
        """The configuration of one node; more is added as it is."""
        text = CONFIG.format(node=node, data=data, url=self.url, schema=self.name, endpoint=self.endpoint, prefix=self.prefix, s3_more=lines(s3_more or {}, 4),
                             store_more=lines(store or self.store, 2), **{k: self.s3[k] for k in ("bucket", "access_key", "secret_key")})
        Path(path).write_text(text + more, encoding="utf-8")
        return path

    def sql(self, text):
        """What psql prints, unaligned, one row a line; {s} is the schema."""
        command = [services.postgres_program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", text.replace("{s}", self.name)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, f"{text}: {result.stderr}"
        return result.stdout

    def dump(self):
        """Everything that is in the index, as text; binary values in hexadecimal."""
        return subprocess.run([services.postgres_program("pg_dump"), "-d", self.url, "-n", self.name, "--data-only"], check=True, capture_output=True).stdout

    def drop(self):
        atexit.unregister(self.drop)
        try:
            self.sql("SET client_min_messages = error; DROP SCHEMA IF EXISTS {s} CASCADE")
            self.bucket.empty(self.prefix)
        except (AssertionError, OSError) as e:
            print(f"{self.name} was not dropped: {e}", file=sys.stderr)


homes = {}


def home_of(folder, store=None):
    """The archive of a folder: made when the folder is asked for first, or again when the folder was removed since."""
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if folder not in homes or not (folder / "cluster.yaml").exists():
        homes[folder] = Home(store=store)
        homes[folder].write(folder / "cluster.yaml", folder)
    return homes[folder]


def configuration(folder, more=None):
    """The path of a folder's configuration. more: another configuration file, whose lines are added."""
    folder = Path(folder).resolve()
    home = home_of(folder)
    if not more:
        return folder / "cluster.yaml"
    return home.write(folder / f"cluster-{Path(more).name}", folder, more=Path(more).read_text(encoding="utf-8"))
