#!/bin/sh
# No external symbol of ours may be one that a linked library exports: the dynamic linker would let one shadow the other.
# Weak ones are the inline functions of a C++ library's headers, meant to be the same in both.
set -eu
build=$1
ours=$(mktemp) theirs=$(mktemp)
trap 'rm -f "$ours" "$theirs"' EXIT
for a in "$build"/src/lib*.a; do nm -g --defined-only "$a" 2>/dev/null; done | awk 'NF == 3 && $2 !~ /[WVu]/ {print $3}' | sort -u > "$ours"
# sanitizer runtimes export what they intercept; they are not libraries of the product
ldd "$build/gantry" | awk '/=>/ {print $3}' | grep -v -E 'lib(asan|ubsan|tsan)' | while read -r lib; do nm -D --defined-only "$lib"; done | awk 'NF == 3 {sub(/@.*/, "", $3); print $3}' | sort -u > "$theirs"
clash=$(comm -12 "$ours" "$theirs")
[ -z "$clash" ] || { echo "external symbols that clash with linked libraries:"; echo "$clash"; exit 1; }
echo "symbols: $(wc -l < "$ours") of ours, none clashes"
