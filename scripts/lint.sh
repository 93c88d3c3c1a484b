#!/bin/bash
# Every check of the source that needs no running: each prints one line when all is well. Arguments: names of checks; none is all.
set -u
cd "$(dirname "$0")/.."
build=${LINT_BUILD:-build}
[ -e "$build/compile_commands.json" ] || meson setup "$build" --buildtype=release >/dev/null || exit 1
ninja -C "$build" gantry >/dev/null || { echo "the build fails: ninja -C $build"; exit 1; }

c_files() { git ls-files -co --exclude-standard "$@"; }
check_layers() { scripts/check_layers.py; }
check_lengths() { scripts/check_lengths.py; }
check_format() { c_files '*.c' '*.h' '*.cpp' | xargs clang-format -n -Werror && echo "format: as .clang-format"; }
check_symbols() { scripts/check_symbols.sh "$build"; }
check_hardening() { scripts/check_hardening.sh "$build/gantry"; }
check_tidy() {
    c_files 'src/*.c' 'src/*.cpp' | xargs -n 4 -P "$(nproc)" clang-tidy -p "$build" --quiet --warnings-as-errors='*' \
        --extra-arg=-Wno-unknown-warning-option 2>/dev/null && echo "clang-tidy: nothing"
}
check_cppcheck() {
    cppcheck -q -j "$(nproc)" --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 --suppressions-list=scripts/cppcheck.suppress \
        -I src -I "$build/src" -D_GNU_SOURCE src 2>&1 && echo "cppcheck: nothing"
}
check_terms() { scripts/check_terms.py; }
check_shell() { # scripts parse
    for f in $(c_files '*.sh' .ci/run tests/run tests/fuzz/run tests/system/soak tests/system/tsan); do bash -n "$f" || return 1; done; echo "shell: every script parses"
}

failed=0
for check in ${*:-layers lengths format symbols hardening shell terms tidy cppcheck}; do
    "check_$check" || { echo "lint: $check failed"; failed=1; }
done
exit $failed
