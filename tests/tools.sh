#!/usr/bin/env bash
# Checks for what the build needs beside Rust, and for the programs named as arguments, each in the Debian package of its name. As root, or
# in CI, installs what is missing; else says the one line that does.
set -euo pipefail
missing=()
command -v cc >/dev/null || missing+=(build-essential)
command -v oathtool >/dev/null || missing+=(oathtool)
command -v script >/dev/null || missing+=(bsdutils)
python3 -c 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || missing+=(python3 python3-venv)
for program in "$@"; do
  command -v "$program" >/dev/null || missing+=("$program")
done
command -v cargo >/dev/null || { echo "cargo is missing: install Rust from your distribution or by rustup, then run this again" >&2; exit 2; }
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
else
  echo "missing: ${missing[*]}. Install with:  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 2
fi
