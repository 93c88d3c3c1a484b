#!/usr/bin/env python3
"""Signing in on the page in Debian's Chromium: one-time password, second factor, tokens, in both languages. SHOTS names a folder for its screenshots."""
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import gantry
import node


def main():
    if not shutil.which(os.environ.get("CHROMIUM", "chromium")):
        gantry.skip("chromium is not installed")
    modules = node.install()
    with tempfile.TemporaryDirectory() as name:
        shots = os.environ.get("SHOTS", f"{name}/shots")
        Path(shots).mkdir(exist_ok=True)
        with gantry.Server(f"{name}/data", auth=True) as server:
            one_time = re.search(r"one-time password (\S+)", server.printed).group(1)
            print(gantry.run("node", modules / "accounts.mjs", f"http://127.0.0.1:{server.http_port}/", shots, one_time, timeout=500).stdout)


main()
