"""What the alert rules and the dashboard of docs/deploy/prometheus ask for is told by /metrics; promtool, where it is installed, finds the rules right."""
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry  # noqa: E402

HERE = gantry.ROOT / "docs" / "deploy" / "prometheus"
NAME = re.compile(r"\bgantry_[a-z0-9_]+")


def asked_for():
    rules = re.findall(r"^ +expr: (.*)$", (HERE / "rules.yml").read_text(), re.M)
    dashboard = json.loads((HERE / "dashboard.json").read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(rules) > 10 and len(shown) > 20
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]]
    assert len(set(places)) == len(places), "two panels lie on each other"
    return {name for text in rules + shown for name in NAME.findall(text)}


def told():
    with tempfile.TemporaryDirectory() as folder, gantry.Server(folder) as server:
        status, _, body = server.http("GET", "/metrics")
        assert status == 200
        return set(re.findall(r"^# HELP (\S+)", body.decode(), re.M))


def main():
    if shutil.which("promtool"):
        gantry.run("promtool", "check", "rules", HERE / "rules.yml")
    missing = asked_for() - told()
    if not gantry.on_cluster():  # a single server has neither nodes nor a bucket
        missing = {name for name in missing if not re.match("gantry_(node|s3_|cache_|volumes)", name)}
    assert not missing, f"/metrics does not tell {sorted(missing)}"
    print("ok")


main()
