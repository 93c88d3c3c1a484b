#!/bin/sh
# Starts the server for this machine only, with demonstration studies when there are none yet: run-demo.sh GANTRY [options of serve]
set -eu
gantry=$1
shift
data=${XDG_DATA_HOME:-$HOME/.local/share}/gantry-demo
mkdir -p "$data"
if [ ! -e "$data/.demo" ]; then
    made=$(mktemp -d "${TMPDIR:-/tmp}/gantry-demo.XXXXXX")
    trap 'rm -rf "$made"' EXIT
    trap 'exit 1' INT TERM
    echo "Making demonstration studies ..."
    "$gantry" synth --out "$made" --demo >/dev/null
    "$gantry" import --data "$data" "$made"
    rm -rf "$made"
    trap - EXIT INT TERM
    : >"$data/.demo"
fi
echo "Data lie in $data. Open the http address below in a browser; Ctrl-C ends the server."
exec "$gantry" serve --data "$data" --auth none "$@"
