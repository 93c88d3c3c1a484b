"""OHIF's viewer as its makers build it, from the npm registry, without the packages that building it would need."""
import base64
import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import gantry

VERSION = "3.12.10"
INTEGRITY = "0kuF66Mq9c9dMD++bUsTjMrJpXJwaZhz9B4uS244DawAjSkTwIYFU93pxPuRUQixaRi7QAHlF3Fe1qudBlZrmA=="  # sha512 of the package, as the registry states it
FOLDER = gantry.ROOT / "tests" / "interop" / ".ohif"


def fetch():
    result = subprocess.run(["npm", "pack", "--silent", f"@ohif/app@{VERSION}"], cwd=FOLDER, capture_output=True, text=True)
    if result.returncode != 0:
        gantry.skip(f"OHIF cannot be had: {result.stderr[-300:]}")
    package = FOLDER / result.stdout.split()[-1]
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    assert digest == INTEGRITY, f"@ohif/app {VERSION} is not the package that was locked"
    with tarfile.open(package) as tar:
        tar.extractall(FOLDER / "new", members=[m for m in tar if m.name.startswith("package/dist/") and m.isfile() and ".." not in m.name])
    package.unlink()
    os.rename(FOLDER / "new" / "package" / "dist", FOLDER / VERSION)
    shutil.rmtree(FOLDER / "new")


def install():
    """The folder of the viewer's files. Skips the test when the registry is out of reach."""
    gantry.need_tools("npm")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / VERSION).exists():
            fetch()
    return FOLDER / VERSION
