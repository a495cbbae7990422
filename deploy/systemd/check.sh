#!/bin/bash
# Checks the units with systemd's own tool: that they are sound, and that the relay's is exposed less than 2.0 of 10.
# BIN is the folder with both programs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "${BIN:?the folder with both programs}" && pwd)
if ! command -v systemd-analyze > /dev/null; then
    echo "units: not checked, there is no systemd-analyze (apt-get install systemd)"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/user"
for unit in countersign-relay.service user/countersign.service; do
    sed "s,/usr/local/bin/,$bin/," "$here/$unit" > "$folder/$unit"
done

# It says what is wrong and does not always fail: nothing may be said of our units.
said=$(systemd-analyze verify --man=no "$folder/countersign-relay.service" 2>&1 || true)
said+=$(XDG_RUNTIME_DIR=$folder systemd-analyze --user verify --man=no "$folder/user/countersign.service" 2>&1 || true)
if grep -F "countersign" <<< "$said"; then
    exit 1
fi
systemd-analyze security --offline=true --threshold=20 --no-pager "$here/countersign-relay.service" | tail -n 1
