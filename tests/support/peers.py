"""Peers that we did not write, started on free loopback ports from Debian's packages."""
import http.client
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import gantry

ORTHANC_PLUGINS = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


class Process:
    """A peer's process: CPU seconds and memory of it and of its children."""

    process = None

    def cpu_s(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return sum(int(f) for f in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def wait_for_port(self, port, seconds=180):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                gantry.socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{type(self).__name__} does not listen on {port}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Orthanc(Process):
    """Orthanc as packaged; tuned: TCP_NODELAY and no flush of stored files."""

    aet = "ORTHANC"

    def __init__(self, folder, tuned=False, modalities=None):  # modalities: name -> [AE title, host, port]
        self.dicom_port, self.http_port = gantry.free_port(), gantry.free_port()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"Name": "peer", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "DicomPort": self.dicom_port, "HttpPort": self.http_port,
                    "DicomAet": self.aet, "DefaultEncoding": "Utf8", "DicomCheckCalledAet": False, "DefaultEncoding": "Utf8", "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomAlwaysAllowMove": True,
                    "DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True, "UnknownSopClassAccepted": True, "DicomModalities": modalities or {},
                    "Plugins": [ORTHANC_PLUGINS] if os.path.exists(ORTHANC_PLUGINS) else [], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
        if tuned:
            settings["SyncStorageArea"] = False
        path = folder / "orthanc.json"
        path.write_text(json.dumps(settings))
        env = {**os.environ, **({"TCP_NODELAY": "1"} if tuned else {})}
        self.process = subprocess.Popen([shutil.which("Orthanc") or "/usr/sbin/Orthanc", str(path)], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_for_port(self.http_port)
        self.wait_for_port(self.dicom_port)

    def http(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=120)
        status, _, answer = gantry.answer_of(connection, method, path, body, headers)
        return status, answer

    def rest(self, path):
        status, body = self.http("GET", path)
        assert status == 200, f"Orthanc GET {path}: {status}"
        return json.loads(body)


class Storescp(Process):
    """DCMTK's storescp writing files without flush or index."""

    aet = "STORESCP"

    def __init__(self, folder, tuned=False, *options):
        self.dicom_port = gantry.free_port()
        Path(folder).mkdir(parents=True, exist_ok=True)
        env = {**os.environ, **({"TCP_NODELAY": "1"} if tuned else {})}
        self.process = subprocess.Popen(["storescp", "--fork", "-aet", self.aet, "-od", str(folder), *options, str(self.dicom_port)], env=env,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_for_port(self.dicom_port)
