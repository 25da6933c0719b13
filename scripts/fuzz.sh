#!/usr/bin/env bash
# Attacks the parsers and the dispatch stream: builds the fuzz entries of tests/fuzz with libFuzzer
# under ASan and UBSan (clang) and runs them one after the other, beginning with the committed inputs.
#   scripts/fuzz.sh [OPTION…] [ENTRY…]      all entries when none is named
#     --seconds N      time of an entry at most (default 3600)
#     --executions N   not less than N, unless the time is over before (default 10000000)
#     --quiet N        after that, ends when coverage has not grown for N seconds (default 300)
#     --no-build       the entries are built
#     --save           puts a minimal set of the inputs found into tests/fuzz/corpus
# Prints a line per entry: executions, edges covered, seconds, seconds since coverage grew; seconds in
# which it was stopped do not count. Exit code 1 when an entry found something; the input is in
# build/fuzz/findings.
set -uo pipefail
cd "$(dirname "$0")/.."
seconds=3600 executions=10000000 quiet=300 build_first=true save=false entries=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=$2; shift ;;
    --executions) executions=$2; shift ;;
    --quiet) quiet=$2; shift ;;
    --no-build) build_first=false ;;
    --save) save=true ;;
    -*) sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
    *) entries+=("$1") ;;
  esac
  shift
done

export ASAN_OPTIONS=quarantine_size_mb=1:thread_local_quarantine_size_kb=64:malloc_context_size=2:${ASAN_OPTIONS:-}
export UBSAN_OPTIONS=print_stacktrace=1
build=build/fuzz
# An input that takes minutes or much memory is a finding: what is read is a few kilobytes. (Minutes,
# because a busy machine stalls.)
limits=(-timeout=300 -rss_limit_mb=2048 -malloc_limit_mb=1024)
# Bytes of an input: what holds every case of the format. Longer ones only take longer.
declare -A length=(
  [addresses]=128 [api_request]=2048 [chat_template]=2048 [checkpoint_index]=128 [config]=2048
  [dispatch_answer]=512 [dispatch_call]=512 [dispatch_engine]=512 [dispatch_router]=512 [flags]=256
  [generation_config]=512 [http_request]=384 [http_response]=512 [json_reader]=512 [placement]=512
  [price_list]=1024 [regex]=256 [remembered_files]=512 [row_queue]=256 [safetensors_header]=512
  [sse]=512 [tokenizer_file]=3072 [tokenizer_text]=256 [utf8]=128)
# The entropic schedule spends more time on its statistics of the inputs than on running them.
search=(-entropic=0 -reload=0 -print_final_stats=1)

if $build_first; then
  targets=("${entries[@]/#/fuzz_}")
  [ ${#targets[@]} -eq 0 ] && targets=(fuzz-entries)
  mkdir -p $build
  { cmake --preset fuzz && cmake --build --preset fuzz --target "${targets[@]}" -- -j"$(nproc)"; } >$build/build.log ||
    { tail -n 40 $build/build.log >&2; exit 1; }
fi
[ ${#entries[@]} -eq 0 ] && mapfile -t entries < <(ls tests/fuzz/*_fuzz.cc | sed 's|.*/||; s|_fuzz.cc$||')

# progress LOG: the newest number of executions and of edges.
progress() {
  { echo 0 0; tail -c 65536 "$1" | sed -n 's/^#\([0-9]*\)[[:space:]].*cov: \([0-9]*\) .*/\1 \2/p'; } | tail -n 1
}

# run_entry ENTRY: fails when it found something.
run_entry() {
  local entry=$1 corpus=$build/corpus/$1 log=$build/$1.log edges=0 best=0 done=0 ran=0 grew=0
  mkdir -p "$corpus" $build/findings
  [ -f "tests/fuzz/corpus/$entry.pack" ] && python3 scripts/fuzz_corpus.py unpack "tests/fuzz/corpus/$entry.pack" "$corpus"
  $build/fuzz/fuzz_"$entry" "${limits[@]}" "${search[@]}" -max_len="${length[$entry]:-4096}" \
    -artifact_prefix=$build/findings/"$entry"- "$corpus" >"$log" 2>&1 &
  local pid=$!
  while sleep 1 && kill -0 $pid 2>/dev/null; do
    [[ $(ps -o state= -p $pid) == T* ]] || ran=$((ran + 1))
    read -r done edges < <(progress "$log")
    if [ "$edges" -gt "$best" ]; then best=$edges grew=$ran; fi
    if [ $ran -ge "$seconds" ] || { [ "$done" -ge "$executions" ] && [ $((ran - grew)) -ge "$quiet" ]; }; then
      kill -INT $pid
      break
    fi
  done
  wait $pid
  local code=$?
  done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  printf '%-20s %12s executions %6d edges %6d s, quiet for %d s\n' "$entry" "${done:-?}" "$best" $ran $((ran - grew))
  # 72: interrupted, by us.
  if [ $code -ne 0 ] && [ $code -ne 72 ]; then
    echo "FINDING in $entry:"; grep -E 'ERROR|SUMMARY|Assertion|CHECK failed|Test unit written' "$log" | head -n 8
    return 1
  fi
}

# save_entry ENTRY: the fewest inputs that reach what all of them reach.
save_entry() {
  local small=$build/small/$1
  rm -rf "$small"; mkdir -p "$small"
  $build/fuzz/fuzz_"$1" "${limits[@]}" -max_len=4096 -set_cover_merge=1 "$small" $build/corpus/"$1" >$build/"$1"-merge.log 2>&1 &&
    python3 scripts/fuzz_corpus.py pack "$small" "tests/fuzz/corpus/$1.pack"
}

failed=0
for entry in "${entries[@]}"; do
  run_entry "$entry" || failed=1
  if $save; then save_entry "$entry" || failed=1; fi
done
exit $failed
