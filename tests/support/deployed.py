"""The files of docs/deploy and packaging as a test runs them: addresses, ports and certificates changed, nothing else."""
import re
import subprocess
import time
import urllib.request
from pathlib import Path

import gantry

DEPLOY = gantry.ROOT / "docs" / "deploy"


def certificate(folder):
    """A key with a certificate for localhost, as both programs take it."""
    folder = Path(folder)
    gantry.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
               "-keyout", folder / "key.pem", "-out", folder / "fullchain.pem")
    (folder / "both.pem").write_text((folder / "fullchain.pem").read_text() + (folder / "key.pem").read_text())
    return folder


def replaced(text, pattern, by):
    """Like re.sub, but a pattern that is not there means that file and test have grown apart."""
    text, n = re.subn(pattern, by, text, flags=re.M)
    assert n, f"nothing to replace for {pattern}"
    return text


class Proxy:
    """nginx or HAProxy with the example's configuration before servers on loopback, given as (HTTP port, DICOM port)."""

    def __init__(self, folder, nodes):
        self.folder = certificate(folder)
        self.https_port, self.dicom_port = gantry.free_port(), gantry.free_port()
        self.nodes = nodes
        self.log = open(self.folder / "proxy.log", "wb")
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=subprocess.STDOUT)
        self.await_port()

    def await_port(self):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / "proxy.log").read_text()[-2000:])
            try:
                urllib.request.urlopen(f"https://127.0.0.1:{self.https_port}/healthz", context=insecure(), timeout=60).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the proxy does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def insecure():
    import ssl
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Nginx(Proxy):
    def command(self):
        text = (DEPLOY / "nginx.conf").read_text()
        servers = "".join(f"    server 127.0.0.1:{http} max_fails=1 fail_timeout=5s;\n" for http, _ in self.nodes)
        text = replaced(text, r"(^    server 10\..*\n)+", servers)
        text = replaced(text, r"^    listen \[::\]:443.*\n", "")
        text = replaced(text, r"listen 443", f"listen 127.0.0.1:{self.https_port}")
        text = replaced(text, "/etc/ssl/gantry", str(self.folder))
        site = self.folder / "site.conf"
        site.write_text(text)
        temporary = "".join(f"{name}_temp_path {self.folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        whole = self.folder / "nginx.conf"
        whole.write_text(f"daemon off; pid {self.folder}/pid; error_log {self.folder}/error.log;\nevents {{}}\n"
                         f"http {{\naccess_log off;\n{temporary}include {site};\n}}\n")
        command = ["nginx", "-p", str(self.folder), "-c", str(whole)]
        gantry.run(*command, "-t")
        return command


class Haproxy(Proxy):
    def command(self):
        text = (DEPLOY / "haproxy.cfg").read_text()
        for port, column in (("8080", 0), ("11112", 1)):
            servers = "".join(f"    server n{i} 127.0.0.1:{node[column]}" + (f" port {node[0]}\n" if column else "\n") for i, node in enumerate(self.nodes))
            text = replaced(text, rf"(^    server \w+ 10\.\S+:{port}\n)+", servers)
        text = replaced(text, "maxconn 20000", "maxconn 2000")  # what a test machine may open
        text = replaced(text, "bind :443 ", f"bind 127.0.0.1:{self.https_port} ")
        text = replaced(text, "bind :11112", f"bind 127.0.0.1:{self.dicom_port}")
        text = replaced(text, "/etc/ssl/gantry", str(self.folder))
        path = self.folder / "haproxy.cfg"
        path.write_text(text)
        gantry.run("haproxy", "-c", "-f", path)
        return ["haproxy", "-db", "-f", str(path)]
