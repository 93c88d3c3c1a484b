#!/bin/sh
# Three nodes on this machine, a balancer before them, and a look at one of them dying: see docs/deploy/trial.md.
exec /usr/bin/python3 "$(dirname "$0")/trial.py" "$@"
