#!/usr/bin/env python3
"""The committed conformance statement says what the binary says, the capabilities are the same over HTTP in JSON and WADL, and every resource has its row."""
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry

ROOT = "/dicom-web"
WADL = "{http://wadl.dev.java.net/2009/02}"
WADL_TYPE = "application/vnd.sun.wadl+xml"


def paths(node, path=""):
    here = path + ("" if node["path"] == "/" else "/" + node["path"])
    for m in node["method"]:
        yield m["name"], here or "/", m["id"]
    for child in node["resource"]:
        yield from paths(child, here)


def wadl_paths(node, path=""):
    here = path + ("" if node.get("path") == "/" else "/" + node.get("path"))
    for m in node.findall(WADL + "method"):
        yield m.get("name"), here or "/", m.get("id")
    for child in node.findall(WADL + "resource"):
        yield from wadl_paths(child, here)


def main():
    script = gantry.ROOT / "scripts" / "gen_conformance.py"
    result = subprocess.run([sys.executable, script, gantry.GANTRY, "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    with tempfile.TemporaryDirectory() as data, gantry.Server(data) as server:
        for method in ("GET", "OPTIONS"):
            for path in (ROOT, ROOT + "/"):
                status, headers, body = server.http(method, path, headers={"Accept": "application/json"})
                assert status == 200 and headers["Content-Type"] == "application/json" and "OPTIONS" in headers["Allow"], (method, path, status, headers)
                said = json.loads(body)["application"]["resources"]
                assert said["base"] == f"http://127.0.0.1:{server.http_port}{ROOT}", said["base"]
                status, headers, body = server.http(method, path, headers={"Accept": WADL_TYPE})
                assert status == 200 and headers["Content-Type"] == WADL_TYPE, (method, path, status, headers)
                root = ET.fromstring(body)
                assert root.tag == WADL + "application", root.tag
        status, _, _ = server.http("OPTIONS", ROOT, headers={"Accept": "image/png"})
        assert status == 406, status
        ours = [p for node in said["resource"] for p in paths(node)]
        theirs = [p for node in root.find(WADL + "resources").findall(WADL + "resource") for p in wadl_paths(node)]
        assert ours == theirs and len(ours) > 30, (len(ours), len(theirs))
        for method, path, name in ours:
            uid = path.replace("{study}", "1.2").replace("{series}", "1.3").replace("{instance}", "1.4").replace("{frames}", "1").replace("{path*}", "7FE00010")
            status, headers, _ = server.http("OPTIONS", ROOT + uid)
            assert status in (200, 204) and method in headers["Allow"], (method, path, name, headers.get("Allow"))
        for absent in ("/workitems", "/commitment-requests/1.2", "/color-palettes"):
            status, headers, _ = server.http("GET", ROOT + absent)
            assert status == 404 and headers["Content-Type"] == "application/problem+json", (absent, status)
    print(f"{len(ours)} transactions")


main()
