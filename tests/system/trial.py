"""The trial of docs/deploy/trial.md: three nodes behind HAProxy, one is killed and comes back, and no request fails."""
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
import cluster  # noqa: E402
import gantry  # noqa: E402


def main():
    if not cluster.settings():
        gantry.skip("PostgreSQL and the S3 service are not started: tests/run starts them, or scripts/dev-services")
    gantry.need_tools("haproxy")
    with tempfile.TemporaryDirectory() as folder:
        script = gantry.ROOT / "scripts" / "trial.sh"
        done = subprocess.run([script, "--gantry", gantry.GANTRY, "--services", os.environ["GANTRY_TEST_SERVICES"], "--dir", folder, "--kill", "1"],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
        logs = "".join(f"{log.name}: {log.read_text()[-800:]}\n" for log in Path(folder).glob("*.log"))
        assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-2000:]}{logs}"
        assert "was killed (SIGKILL)" in done.stdout and "is back" in done.stdout and " 0 failed; " in done.stdout.splitlines()[-1], done.stdout[-2000:]
    print("ok")


main()
