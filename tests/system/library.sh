#!/bin/sh
# The lower layers are usable alone: install them, and build a program against gantry-dicom with pkg-config only.
set -eu
cd "$(dirname "$0")/../.."
build=${RELEASE_BUILD:-build}
[ -e "$build/src/libgantry-dicom.a" ] || { echo "SKIP $build is not built"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
DESTDIR="$folder" meson install -C "$build" --no-rebuild > /dev/null
export PKG_CONFIG_SYSROOT_DIR="$folder"
pc=$(dirname "$(find "$folder" -name gantry-dicom.pc)")
export PKG_CONFIG_PATH="$pc"
cat > "$folder/name.c" <<'C'
#include <stdio.h>

#include "dicom/read.h"

int main(void) {
    static const unsigned char BYTES[] = "\x10\x00\x10\x00PN\x08\x00" "Doe^John";
    struct arena a;
    struct dcm_object o;
    struct err e = {0};
    arena_init(&a, 1 << 20);
    if (!dcm_read_memory(&a, BYTES, sizeof BYTES - 1, dcm_ts_explicit_le, DCM_STOP_NOWHERE, &o, &e)) return puts(e.message), 1;
    struct str name = dcm_text(o.dataset, DCM_PatientName);
    printf("%.*s\n", STR_FMT(name));
    arena_deinit(&a);
    return 0;
}
C
# shellcheck disable=SC2046
cc -std=gnu17 -Wall -Werror -o "$folder/name" "$folder/name.c" $(pkg-config --cflags gantry-dicom) $(pkg-config --libs gantry-dicom)
[ "$("$folder/name")" = "Doe^John" ]
echo "a program of its own reads a data set with libgantry-dicom"
