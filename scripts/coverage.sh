#!/bin/bash
# Branch coverage of what reads from outside and of the store, by the unit tests and the replayed fuzz corpora. Prints a table;
# arguments are sources to show line by line: each branch edge that was never taken. COVERAGE_LIMIT=90 fails below 90 %.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
build=${COVERAGE_BUILD:-build-cov}
export CCACHE_DIR=${CCACHE_DIR:-$PWD/.ccache}
[ -e "$build/build.ninja" ] || meson setup "$build" --buildtype=debug -Doptimization=0 -Db_coverage=true -Db_ndebug=true -Dtests=true > /dev/null || exit 2
ninja -C "$build" > "$build/build.log" 2>&1 || { grep -E -A5 'error|FAILED' "$build/build.log" | head -40; exit 2; }
if [ -z "${COVERAGE_KEEP:-}" ]; then # COVERAGE_KEEP=1 shows again what the last run covered
    find "$build" -name '*.gcda' -delete
    meson test -C "$build" --suite unit --suite fuzz --no-rebuild --timeout-multiplier 4 > "$build/tests.log" 2>&1 || tail -12 "$build/tests.log"
fi
find "$build/src" -name '*.gcda' -print0 | xargs -0 gcov --json-format --stdout --branch-probabilities 2> /dev/null | python3 scripts/coverage.py "${COVERAGE_LIMIT:-0}" "$@"
