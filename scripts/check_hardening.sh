#!/bin/sh
# The release binary is position independent, fully RELRO, with stack protector and fortified calls.
set -eu
bin=$1
fail=0
say() { echo "$bin: $1"; fail=1; }
readelf -h "$bin" | grep -q 'Type: *DYN' || say "is not position independent"
readelf -l "$bin" | grep -q GNU_RELRO || say "has no RELRO segment"
readelf -d "$bin" | grep -q -E 'BIND_NOW|FLAGS.*NOW' || say "is not linked with -z now"
readelf -l "$bin" | grep -A1 GNU_STACK | grep -q 'RWE' && say "has an executable stack"
nm -D "$bin" | grep -q __stack_chk_fail || say "has no stack protector"
nm -D "$bin" | grep -q '_chk' || say "has no fortified calls"
[ $fail = 0 ] && echo "hardening: PIE, RELRO, BIND_NOW, stack protector, FORTIFY"
exit $fail
