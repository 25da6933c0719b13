#!/usr/bin/env bash
# The main job on a fresh machine: installs what is missing, builds, starts a router, a coordinator and
# three expert shards, and a Prometheus that watches them; asks one question (the model thinks before it
# answers), and shows how fast it was and how many expert rows each shard computed.
#   scripts/demo.sh          then stays up until Ctrl-C
#   scripts/demo.sh --once   then stops
set -euo pipefail
cd "$(dirname "$0")/.."
once=false
case "${1:-}" in
  "") ;;
  --once) once=true ;;
  *) echo "usage: scripts/demo.sh [--once]" >&2; exit 2 ;;
esac

model=${MOESAIC_DEMO_MODEL:-models/demo}
port=${MOESAIC_DEMO_PORT:-8000}
$once && port=${MOESAIC_DEMO_PORT:-0}
bin=build/release/bin

step() { printf '\n== %s\n' "$1"; }

step "installing what is missing"
scripts/install_deps.sh
step "building (the first time takes a few minutes)"
cmake --preset release --log-level=WARNING
cmake --build --preset release --target programs

step "starting a router, a coordinator and three expert shards on $model"
state=$(mktemp -d "${TMPDIR:-/tmp}/moesaic-demo.XXXXXX")
: >"$state/up.log"
launched=$(date +%s.%N)
"$bin/moesaic" up --model "$model" --shards 3 --http-port "$port" --state-dir "$state" \
  >"$state/up.log" 2>&1 &
cluster=$!
stop() {
  kill "$cluster" 2>/dev/null && wait "$cluster" || true
  rm -rf "$state"
}
trap stop EXIT
trap 'exit 130' INT TERM
tail -n +1 -f --pid="$cluster" "$state/up.log" &
until grep -q '^ready:' "$state/up.log"; do
  kill -0 "$cluster" 2>/dev/null || { wait "$cluster" || true; echo "the cluster did not start" >&2; exit 1; }
  sleep 0.1
done

question="What is 347 + 586?"
step "asking: $question"
asked=$(date +%s.%N)
"$bin/moesaic" chat "$question" --max-tokens 512 --temperature 0 --stats --state-dir "$state" \
  2>"$state/chat.log" || { cat "$state/chat.log" >&2; exit 1; }
first_token=$(sed -n 's/^first token after \([0-9.]*\) s.*/\1/p' "$state/chat.log")
printf '\n%s\n' "$(cat "$state/chat.log")"
awk -v launched="$launched" -v asked="$asked" -v waited="${first_token:?no token came}" 'BEGIN {
  printf "%.1f s from starting the processes to the first token\n", asked - launched + waited }'

step "expert rows each shard computed"
# Shards report their counts with their heartbeats, once a second.
python3 - "$bin/moesaic" "$state" <<'PYTHON'
import json, subprocess, sys, time

for _ in range(10):
    status = subprocess.run([sys.argv[1], "status", "--json", "--state-dir", sys.argv[2]],
                            check=True, capture_output=True, text=True).stdout
    rows = {shard["placed"]["shard"]: int(shard["expert_rows_total"])
            for shard in json.loads(status)["shards"]}
    if len(rows) == 3 and all(rows.values()):
        break
    time.sleep(0.5)
print("  ".join(f"{name}: {count}" for name, count in sorted(rows.items())))
sys.exit(0 if len(rows) == 3 and all(rows.values()) else "a shard computed nothing")
PYTHON

if $once; then
  step "done in $(awk -v seconds=$SECONDS 'BEGIN { printf "%.1f", seconds / 60 }') minutes"
  exit 0
fi
address() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get(sys.argv[2], ""))' "$state/cluster.json" "$1"; }
url=$(address http)
prometheus=$(address prometheus)
cat <<EOF

The cluster stays up; Ctrl-C stops it. Try:
  $bin/moesaic chat --state-dir $state
  curl $url/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"messages": [{"role": "user", "content": "$question"}], "max_tokens": 512}'
  $prometheus in a browser: what Prometheus collects, and its alerts
EOF
wait "$cluster"
