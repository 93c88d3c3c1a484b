#!/usr/bin/env python3
"""Emergency access from outside: who may begin it, what is then seen and for how long, that it is announced, and that another reviews it."""
import base64
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

FIRST, OWN = "seven purple elephants", "nine yellow tractors"
REASON = "stroke patient, colleague of the west wing not reachable"


class Person:
    def __init__(self, server, name, password):
        self.server, self.cookie = server, None
        status, answered, _ = self.ask("POST", "api/session", {"name": name, "password": password})
        assert status == 200, (name, status)
        self.cookie = answered["Set-Cookie"].split(";")[0]
        status, answered, told = self.ask("POST", "api/account/password", {"old": password, "new": OWN})
        assert status < 300, (name, status, told)
        if "Set-Cookie" in answered:
            self.cookie = answered["Set-Cookie"].split(";")[0]

    def ask(self, method, path, body=None):
        headers = {"Authorization": "", "Content-Type": "application/json", **({"Cookie": self.cookie} if self.cookie else {})}
        status, answered, data = self.server.http(method, f"/{path}", body=None if body is None else json.dumps(body), headers=headers)
        return status, answered, json.loads(data) if data and "json" in answered.get("Content-Type", "") else data

    def get(self, path):
        status, _, told = self.ask("GET", path)
        assert status in (200, 204), (path, status, told)
        return told if status == 200 else []

    def studies(self):
        return len(self.get("dicom-web/studies"))

    def post(self, verb, body, expect=200):
        status, _, told = self.ask("POST", f"api/admin/glass/{verb}", body)
        assert status == expect, (verb, body, status, told)
        return told


def command(folder, *words):
    return gantry.run(gantry.GANTRY, *words[:2], *gantry.archive(folder), *words[2:], timeout=60).stdout


def two_sites(server, folder):
    for i, (aet, realm) in enumerate((("EAST", "/east"), ("WEST", "/west"))):
        command(folder / "data", "peer", "add", aet, "--network", "127.0.0.1", "--realm", realm)
        gantry.run(gantry.GANTRY, "synth", "--out", folder / aet, "--kind", "chest-ct", "--slices", "2", "--size", "64", "--seed", str(i + 1), timeout=120)
        gantry.run(gantry.GANTRY, "store", f"{server.aet}@127.0.0.1:{server.dicom_port}", folder / aet, "--calling", aet, timeout=120)


def people(server, folder):
    (folder / "password").write_text(FIRST + "\n")
    for name, role, scope in (("li.wei", "radiologist", "site:/east"), ("viewer", "viewer", "site:/east"), ("chief", "auditor", "*"), ("foreign", "auditor", "tenant:other")):
        command(folder / "data", "user", "add", name, "--role", role, "--scope", scope, "--password-file", folder / "password")
    return [Person(server, name, FIRST) for name in ("li.wei", "viewer", "chief", "foreign")]


def what_is_seen_for_a_while(li, viewer):
    assert (li.studies(), viewer.studies()) == (2, 2)  # a case has two
    li.post("break", {"reason": "x"}, 400)
    li.post("break", {"reason": REASON, "scope": "tenant:other"}, 403)
    viewer.post("break", {"reason": REASON}, 403)
    assert li.get("api/access")["glass"] is None
    told = li.post("break", {"reason": REASON, "minutes": 5})
    access = li.get("api/access")
    assert access["glass"]["reason"] == REASON and access["glass"]["until_ms"] == told["until_ms"], access
    assert (li.studies(), viewer.studies()) == (4, 2)
    li.post("break", {"reason": REASON}, 409)


def it_is_reviewed_by_another(li, chief, foreign):
    assert chief.get("api/access")["glasses_waiting"] == 1
    assert foreign.get("api/access")["glasses_waiting"] == 0 and foreign.get("api/admin/glass/list") == []
    (waiting,) = chief.get("api/admin/glass/list")
    assert waiting["name"] == "li.wei" and waiting["reason"] == REASON, waiting
    li.post("review", {"id": waiting["id"], "verdict": "justified"}, 403)
    foreign.post("review", {"id": waiting["id"], "verdict": "justified"}, 404)
    chief.post("review", {"id": waiting["id"], "verdict": "not justified", "remark": "ask next time"})
    chief.post("review", {"id": waiting["id"], "verdict": "justified"}, 409)
    assert chief.get("api/access")["glasses_waiting"] == 0
    li.post("close", {})
    assert li.studies() == 2 and li.get("api/access")["glass"] is None


def it_is_in_the_trail(folder):
    said = base64.b64encode(REASON.encode()).decode()
    lines = command(folder / "data", "audit", "export").splitlines()
    for kind in ("glass.broken", "glass.reviewed", "glass.closed"):
        assert sum(f'csd-code="{kind}"' in line for line in lines) == 1, kind
    queries = [line for line in lines if 'csd-code="study.queried"' in line and 'UserID="li.wei"' in line]
    assert len(queries) == 3 and sum(said in line for line in queries) == 1, "what was seen through it, and nothing else, carries its reason"


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with gantry.Server(folder / "data", auth=True) as server:
            two_sites(server, folder)
            li, viewer, chief, foreign = people(server, folder)
            what_is_seen_for_a_while(li, viewer)
            it_is_reviewed_by_another(li, chief, foreign)
            server.logged(r"glass: li\.wei has broken the glass of 'tenant:'")
        it_is_in_the_trail(folder)
    print("emergency access is for a reason, for a while, announced and reviewed")


main()
