#!/usr/bin/python3
"""Runs a test program with the services of GANTRY_TEST_SERVICES in its environment, as scripts/dev-services env gives them. Skips when there are none."""
import os
import re
import sys
from pathlib import Path

folder = os.environ.get("GANTRY_TEST_SERVICES")
if not folder:
    print("SKIP PostgreSQL and the S3 service are not started: tests/run starts them, or scripts/dev-services")
    sys.exit(77)
known = dict(re.findall(r"^export (\w+)='(.*)'$", (Path(folder) / "services.env").read_text(), re.M))
os.execve(sys.argv[1], sys.argv[1:], {**os.environ, **known})
