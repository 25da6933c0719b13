#!/usr/bin/env bash
# The test suite. Installs what is missing, builds, tests, prints the minutes of each stage and closes
# with a line that counts the tests. Exit code 1 when anything failed.
#   scripts/test.sh          what CI runs: release with the whole suite and three minutes of chaos,
#                            ASan+UBSan on unit tests and parsers, TSan on the label `threads`, CUDA
#                            compiled for one architecture
#   scripts/test.sh --full   the whole suite under ASan+UBSan and under TSan as well, and clang with
#                            thread-safety as errors, and every fuzz entry for half a minute
set -uo pipefail
cd "$(dirname "$0")/.."
full=false
case "${1:-}" in
  "") ;;
  --full) full=true ;;
  *) echo "usage: scripts/test.sh [--full]" >&2; exit 2 ;;
esac

jobs=$(nproc)
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
failed_stages=()
timings=()

# stage NAME COMMAND…: runs it, times it, remembers a failure and goes on.
stage() {
  local name=$1 started=$SECONDS
  shift
  echo "=== $name"
  "$@" || failed_stages+=("$name")
  timings+=("$(printf '%-28s %4d s' "$name" $((SECONDS - started)))")
}

configure() { cmake --preset "$1" >"$results/configure-$1.log" 2>&1 || { cat "$results/configure-$1.log"; return 1; }; }
# build PRESET TARGET…: quiet unless it fails.
build() {
  local preset=$1 log=$results/build-$1.log
  shift
  configure "$preset" || return 1
  cmake --build --preset "$preset" --target "$@" -- -j"$jobs" -k 0 >"$log" 2>&1 && return
  grep -E -A 8 'error:|FAILED:|undefined reference' "$log" | cut -c1-300 | head -n 120
  return 1
}

# ctest_run PRESET CTEST-ARGUMENT…
ctest_run() {
  local preset=$1
  shift
  ctest --test-dir "build/$preset" -j"$jobs" --output-on-failure \
    --output-junit "$results/$preset.xml" "$@" | grep -Ev '^ *[0-9]+/[0-9]+ Test|^ *Start +[0-9]+:|^test [0-9]'
}

# processes PRESET FOLDER: the tests of real processes in a folder of tests/.
processes() {
  local preset=$1 folder=$2
  MOESAIC_BIN="$PWD/build/$preset/bin" .venv/bin/python -m pytest -q "tests/$folder" \
    -p no:cacheprovider --junit-xml "$results/$folder-$preset.xml"
}

static_checks() {
  git ls-files '*.cc' '*.h' '*.cu' '*.cuh' | xargs clang-format --dry-run --Werror &&
    bash -n scripts/*.sh .ci/run
}

export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
# The packaged gRPC and Abseil are not instrumented; our completion-queue wrapper tells
# ThreadSanitizer of the ordering they give (rpc/completion_queue.h).
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1 suppressions=$PWD/tests/tsan_suppressions.txt"

stage "install" scripts/install_deps.sh --tests
stage "static checks" static_checks
stage "release: build" build release all
stage "release: unit tests" ctest_run release
stage "release: integration tests" processes release integration
stage "release: chaos" processes release chaos
if $full; then
  stage "asan: build" build asan all
  stage "asan: unit tests" ctest_run asan
  stage "asan: integration tests" processes asan integration
  stage "tsan: build" build tsan all
  stage "tsan: unit tests" ctest_run tsan
  stage "tsan: integration tests" processes tsan integration
  stage "clang thread-safety: build" build clang all
  stage "fuzz: half a minute each" scripts/fuzz.sh --seconds 30
else
  stage "asan: build" build asan tests-unit tests-parser
  stage "asan: unit and parser tests" ctest_run asan -L 'unit|parser'
  stage "tsan: build" build tsan tests-threads
  stage "tsan: tests with threads" ctest_run tsan -L threads
fi
if command -v nvcc >/dev/null; then
  stage "cuda: build (sm_75)" build cuda moesaic_kernels tests-gpu
  stage "cuda: gpu tests" ctest_run cuda -L gpu
else
  echo "=== cuda: skipped, no nvcc on this machine"
fi

echo
printf '%s\n' "${timings[@]}"
printf '%-28s %4d s\n' total $SECONDS
for name in "${failed_stages[@]:-}"; do [ -n "$name" ] && echo "FAILED stage: $name"; done
python3 scripts/count_tests.py "$results"/*.xml || exit 1
[ ${#failed_stages[@]} -eq 0 ]
