#!/usr/bin/env bash
# The story of the README with the real programs: a relay, a laptop that founds a chain, a phone that joins from another address and
# writes, a stranger who only has the sync code, a tablet that is denied. Everything lives in a temporary folder and is gone afterwards.
#
#   BIN=DIR      where the programs are (default target/debug)
#   DEMO_YES=1   types the check code by script instead of asking for it
set -euo pipefail

BIN=$(cd "${BIN:-target/debug}" && pwd)
for program in countersign countersign-relay stranger; do
  [ -x "$BIN/$program" ] || { echo "demo: $BIN/$program is missing: run it by make demo" >&2; exit 2; }
done
DIR=$(mktemp -d "${TMPDIR:-/tmp}/countersign-demo.XXXXXX")
CHILDREN=()

cleanup() {
  for child in "${CHILDREN[@]}"; do kill "$child" 2>/dev/null || true; done
  for child in "${CHILDREN[@]}"; do wait "$child" 2>/dev/null || true; done
  rm -rf "$DIR"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
export XDG_RUNTIME_DIR="$DIR/run"
mkdir -m 700 "$XDG_RUNTIME_DIR"
cd "$DIR"

bold() { if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi; }
typed() { printf '$ %s\n' "$*"; }
fail() { echo "demo: $*" >&2; for log in "$DIR"/*.log; do echo "--- $log" >&2; cat "$log" >&2; done; exit 1; }

# Waits until a file has a line that matches, for at most 20 s, and prints the match.
await() { # FILE PATTERN
  local line
  # tail ends by SIGPIPE once grep has its line, so the pipeline's status says nothing.
  line=$(timeout 20 tail -n +1 -s 0.05 -F "$1" 2>/dev/null | grep -m 1 -oE -- "$2" || true)
  [ -n "$line" ] || fail "no \"$2\" in $1"
  printf '%s\n' "$line"
}

agent() { # HOME ARGS…: a command as one would type it on that device
  local home=$1 line="countersign" argument; shift
  for argument in "$@"; do
    case $argument in *' '*) line+=" \"$argument\"" ;; *) line+=" $argument" ;; esac
  done
  typed "$line"
  "$BIN/countersign" --home "$DIR/$home" "$@"
}

bold "1. A relay, with nothing but its own file"
typed "countersign-relay serve"
"$BIN/countersign-relay" serve --listen 127.0.0.1:0 --data "$DIR/relay" >relay.out 2>relay.log &
CHILDREN+=($!)
RELAY=$(await relay.out 'http://[0-9.:]+')
echo "listening on $RELAY"

bold "2. The laptop founds a chain and waits"
agent laptop init --relay "$RELAY" --name laptop --recovery-file recovery-words.txt
"$BIN/countersign" --home "$DIR/laptop" code show >words.txt 2>/dev/null
typed "countersign run"
"$BIN/countersign" --home "$DIR/laptop" run >laptop.log 2>&1 &
CHILDREN+=($!)
await laptop.log 'connected' >/dev/null

bold "3. The phone knows the sync code, and may only ask. It dials from 127.0.0.2"
typed "countersign join --relay $RELAY --name phone        # and types the 24 words of: countersign code show"
"$BIN/countersign" --home "$DIR/phone" --source-address 127.0.0.2 join --relay "$RELAY" --name phone --code-file words.txt >phone.log 2>&1 &
PHONE=$!
CHILDREN+=($PHONE)
await laptop.log '127\.0\.0\.2' >/dev/null

bold "4. The laptop sees who asks, and from where; opening the request makes the code appear on the phone"
agent laptop requests list
REQUEST=$("$BIN/countersign" --home "$DIR/laptop" --json requests list | grep -oE '"id": ?"[0-9a-f]{64}"' | head -1 | grep -oE '[0-9a-f]{64}' | cut -c 1-8)
agent laptop requests show "$REQUEST"
CODE=$(await phone.log 'code 1: [0-9]{3} [0-9]{3}')
echo
echo "   the phone shows:   ${CODE#code 1: }"

bold "5. A person types the code that the phone shows"
if [ "${DEMO_YES:-}" = 1 ] || [ ! -t 0 ]; then
  TYPED=${CODE#code 1: }
else
  read -r -p "   check code: " TYPED
fi
agent laptop approve "$REQUEST" --check-code "$TYPED" || fail "not approved"
wait "$PHONE" || fail "the phone did not join"
sed 's/^/   phone: /' phone.log | tail -n 6

bold "6. The phone writes with the credential it was just given; the laptop reads it"
agent phone record put notes first "hello from the phone"
agent laptop record get notes first
[ "$("$BIN/countersign" --home "$DIR/laptop" record get notes first)" = "hello from the phone" ] || fail "the laptop read something else"
agent laptop devices list

bold "7. A stranger with the sync code and no approval, with a client of its own: the relay refuses"
CHAIN=$("$BIN/countersign" --home "$DIR/laptop" --json status | grep -oE '"chain": ?"[0-9a-f]{64}"' | grep -oE '[0-9a-f]{64}')
HEAD=$("$BIN/countersign" --home "$DIR/laptop" --json status | grep -oE '"head": ?"[0-9a-f]{64}"' | grep -oE '[0-9a-f]{64}')
"$BIN/stranger" "$RELAY" "$CHAIN" "$HEAD" words.txt || fail "the stranger was not refused"

bold "8. A tablet asks and is denied; it is not told, and goes on waiting"
typed "countersign join --relay $RELAY --name tablet"
"$BIN/countersign" --home "$DIR/tablet" --source-address 127.0.0.3 join --relay "$RELAY" --name tablet --code-file words.txt >tablet.log 2>&1 &
TABLET=$!
CHILDREN+=($TABLET)
await laptop.log '127\.0\.0\.3' >/dev/null
REQUEST=$("$BIN/countersign" --home "$DIR/laptop" --json requests list | grep -oE '"id": ?"[0-9a-f]{64}"' | head -1 | grep -oE '[0-9a-f]{64}' | cut -c 1-8)
agent laptop deny "$REQUEST"
kill -0 "$TABLET" || fail "the tablet gave up"
sed 's/^/   tablet: /' tablet.log
agent laptop log show

bold "Done. On two real machines:"
cat <<'STORY'
  countersign-relay serve --config relay.toml        # public_origins = ["https://relay.example.org"], [tls]: see the README
  countersign init --relay https://relay.example.org --name laptop && countersign run
  countersign join --relay https://relay.example.org --name phone
STORY
