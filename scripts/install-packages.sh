#!/bin/sh
# Installs the Debian packages listed in FILE (one a line) that are missing; does nothing, and needs no network, when all are there.
set -eu
file=$1
missing=""
while read -r name; do
    case "$name" in ''|'#'*) continue ;; esac
    # a tool that came another way than by a package counts
    case "$name" in
        nodejs) command -v node >/dev/null 2>&1 && continue ;;
        npm|git|curl|make|gcc|python3) command -v "$name" >/dev/null 2>&1 && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $name"
done < "$file"
[ -n "$missing" ] || exit 0
sudo=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "These packages are missing, and neither root nor sudo is at hand:$missing" >&2; exit 77; }
    sudo=sudo
fi
echo "Installing:$missing"
$sudo apt-get -qq update
# A peer's package starts its daemon on install; the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod +x $policy
    trap '$sudo rm -f $policy' EXIT
fi
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing
