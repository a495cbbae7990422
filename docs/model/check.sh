#!/usr/bin/env bash
# Checks the model of a join to exhaustion, and that each property breaks when its guard is taken out. README.md says what that means.
#
#   check.sh           everything: a minute and a half of one processor, 1.7 GB
#   check.sh --quick   the last two scenarios with room for two entries less: under a minute, 0.6 GB; what `make test` runs
set -euo pipefail
cd "$(dirname "$0")"
small=() effort=-O2
case "${1:-}" in
  "") ;;
  --quick) small=(-DOF_A=2 -DOF_B=1) effort=-O1 ;;
  *) echo "usage: $0 [--quick]" >&2; exit 2 ;;
esac
command -v spin >/dev/null || { echo "spin is missing. Install with:  sudo apt-get install --no-install-recommends spin" >&2; exit 2; }
command -v cc >/dev/null || { echo "a C compiler is missing. Install with:  sudo apt-get install --no-install-recommends build-essential" >&2; exit 2; }
model=$PWD/join.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# search -O SAFETY|CYCLES DEFINITION...: the verifier's output is in the file `said`. The search is full: no bit states, no reduction.
search() {
  local optimised=$1 kind=(-DSAFETY) cycles=()
  shift
  [ "$1" = SAFETY ] || { kind=(-DNP); cycles=(-l); }
  rm -f -- pan* said ./*.trail
  spin -a "${@:2}" "$model" >said 2>&1 || { cat said >&2; exit 1; }
  cc "$optimised" -w -DNOREDUCE -DMEMLIM=2600 "${kind[@]}" -o pan pan.c
  local begun=${EPOCHREALTIME/./}
  ./pan "${cycles[@]}" -w23 >said 2>&1 || true
  spent=$(((${EPOCHREALTIME/./} - begun) / 1000))
  states=$(sed -nE 's/^ *([0-9]+) states, stored.*/\1/p' said)
  grep -q 'errors: [0-9]' said || { cat said >&2; exit 1; }
}

line() { printf '%-7s %-34s %-44s %9d states %3d.%d s\n' "$1" "$2" "$3" "$states" $((spent / 1000)) $((spent % 1000 / 100)); }

# holds PROPERTIES SCENARIO SAFETY|CYCLES DEFINITION...
holds() {
  search "$effort" "${@:3}"
  if ! grep -q 'errors: 0' said || grep -qE 'Search not completed|too small|MEMLIM' said; then
    cat said >&2
    echo "FAILED: $1, with $2" >&2
    exit 1
  fi
  line holds "$1" "$2"
}

# breaks PROPERTY GUARD SAFETY|CYCLES DEFINITION...
breaks() {
  search -O0 "$3" "-DNO_GUARD_$2" "-DONLY=$1" -DOF_A=2 -DOF_B=1 "${@:4}"
  grep -qE 'assertion violated|non-progress cycle' said || { echo "FAILED: $1 holds without $2: the model does not see what it is for" >&2; exit 1; }
  line breaks "$1" "without $2"
}

holds 'ENTITLED FINAL FORK ONCE TYPED' 'a lying relay' SAFETY
holds 'ENTITLED FINAL FORK ONCE TYPED' "a lying relay with B's key" SAFETY -DSTOLEN
holds 'all' 'a relay that keeps its word' CYCLES -DFAITHFUL
holds ENDING "a relay that stops lying, with B's key" CYCLES -DENDS -DSTOLEN "${small[@]}"
holds ENDING 'a relay that stops lying' CYCLES -DENDS "${small[@]}"

breaks ENTITLED APPROVER SAFETY -DSTOLEN
breaks FINAL DECIDED SAFETY
breaks FINAL SWAP SAFETY -DFAITHFUL
breaks FORK ALARM SAFETY
breaks FORK PIN SAFETY
breaks ONCE KEY SAFETY
breaks TYPED CODE SAFETY
breaks TYPED ONE_NONCE SAFETY
breaks TYPED COMMITMENT SAFETY
breaks TYPED SHOWN SAFETY
breaks TYPED SIGNER SAFETY -DSTOLEN
breaks QUIET SWAP SAFETY -DFAITHFUL
breaks QUIET OPEN SAFETY -DFAITHFUL
breaks QUIET ROUND SAFETY -DFAITHFUL
breaks ENDING HEAL CYCLES -DENDS
breaks ENDING GIVE_UP CYCLES -DENDS
breaks ENDING LIFETIME CYCLES -DENDS
breaks ENDING NEWS CYCLES -DENDS
breaks ENDING WITHDRAWN_HEALS CYCLES -DENDS
