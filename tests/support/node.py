"""Peers and tools from the npm registry: tests/interop/package-lock.json says which."""
import fcntl
import subprocess

import gantry

FOLDER = gantry.ROOT / "tests" / "interop"


def install():
    """Installs the locked packages once, and returns the folder. Skips the test when the registry is out of reach."""
    gantry.need_tools("node", "npm")
    stamp = FOLDER / "node_modules" / ".package-lock.json"
    with open(FOLDER / ".npm.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
            result = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=FOLDER, capture_output=True, text=True)
            if result.returncode != 0:
                gantry.skip(f"npm packages cannot be installed: {result.stderr[-300:]}")
            stamp.touch()
    return FOLDER
