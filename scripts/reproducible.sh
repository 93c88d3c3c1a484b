#!/bin/sh
# Builds the committed sources twice, in two folders and under two environments, and compares what comes out bit for bit: reproducible.sh [GIT_REVISION]
set -eu
cd "$(dirname "$0")/.."
revision=$(git rev-parse --verify "${1:-HEAD}^{commit}")
work=$(mktemp -d "${TMPDIR:-/tmp}/gantry-reproducible.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

build() { # folder, jobs, then variables of the environment
    where=$work/$1 jobs=$2
    shift 2
    mkdir -p "$where/home"
    git archive "$revision" | tar -x -C "$where"
    echo "== $where: $*"
    # compiled anew: what a cache kept would prove nothing
    (cd "$where" && env CCACHE_DISABLE=1 HOME="$where/home" "$@" sh -c "
        meson setup build --buildtype=release ${MESON_OPTIONS:-} >setup.log && nice ninja -C build -j $jobs gantry src/libgantry-dicom.a >build.log") || {
        tail -20 "$where"/*.log >&2
        exit 1
    }
}

umask 022
build a 1 TZ=UTC LC_ALL=C PYTHONHASHSEED=1 USER=first
umask 077
build a-second-folder-with-a-longer-name 3 TZ=Asia/Shanghai LC_ALL=C.UTF-8 PYTHONHASHSEED=2 USER=second
different=0
for file in gantry src/libgantry-dicom.a; do
    one=$work/a/build/$file two=$work/a-second-folder-with-a-longer-name/build/$file
    if cmp "$one" "$two"; then
        echo "the same: $(sha256sum <"$one" | cut -d' ' -f1)  $file"
    else
        different=1
        ! command -v diffoscope >/dev/null || diffoscope --max-report-size 20000 "$one" "$two" || true
    fi
done
[ $different = 0 ] && echo "reproducible: two builds of $(git rev-parse --short "$revision") are the same, bit for bit"
