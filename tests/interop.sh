#!/usr/bin/env bash
# Runs the Python implementation, by itself and against the real programs, in a virtual environment of its own.
#
#   BIN=DIR      where the programs are (default target/debug)
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=$(cd "${BIN:-target/debug}" && pwd)
VENV=target/interop-venv
WANTED=$(sha256sum tests/interop/requirements.txt)
if [ "$(cat "$VENV/installed" 2>/dev/null)" != "$WANTED" ]; then
  rm -rf "$VENV"
  python3 -m venv "$VENV"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/interop/requirements.txt
  printf '%s\n' "$WANTED" >"$VENV/installed"
fi
export COUNTERSIGN_RELAY=$BIN/countersign-relay COUNTERSIGN_AGENT=$BIN/countersign PYTHONDONTWRITEBYTECODE=1
exec "$VENV/bin/python" -m pytest -q -p no:cacheprovider -c tests/interop/pytest.ini --rootdir tests/interop "$@"
