#!/usr/bin/env bash
# Installs what building, testing and running Moesaic needs, from Debian's packages and PyPI only.
# Idempotent: a second run finds everything in place and returns within a second.
#   scripts/install_deps.sh            what the build and the demo need
#   scripts/install_deps.sh --tests    and what the test suite needs (a Python environment in .venv)
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages=(
  build-essential cmake ninja-build ccache pkg-config git
  libgrpc++-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev
  libabsl-dev libboost1.81-dev libssl-dev prometheus-cpp-dev libhwy-dev
  libpcre2-dev libutf8proc-dev nlohmann-json3-dev libcli11-dev libjemalloc-dev
  libsqlite3-dev libpq-dev
  libgtest-dev libgmock-dev libbenchmark-dev curl python3
  node-d3)
# Programs that Moesaic runs itself, as child processes. Debian's packages of them come with a system
# service that starts with the installation and at every boot; nobody asked for that here.
service_packages=(prometheus)
test_packages=(python3-venv clang libclang-rt-dev clang-format clang-tidy iproute2 iptables libfuse3-3 chromium chromium-driver)
test_service_packages=(postgresql)

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

missing_of() {
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
  done
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_of "$@")
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    echo "install_deps.sh: run as root, or install sudo; missing: ${missing[*]}" >&2
    exit 1
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The same, but the service of a package that was not there before is neither started (policy-rc.d is
# what Debian's package scripts ask; one that the machine has stays and decides) nor enabled. A service
# that the machine had already is not touched. A subshell: its end, however it comes, removes the file.
install_without_service() (
  mapfile -t missing < <(missing_of "$@")
  [ ${#missing[@]} -eq 0 ] && return
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'as_root rm -f "$policy"' EXIT
    as_root install -m 755 /dev/stdin "$policy" <<<$'#!/bin/sh\nexit 101'
  fi
  install_packages "${missing[@]}"
  for package in "${missing[@]}"; do
    if command -v systemctl >/dev/null; then as_root systemctl --quiet disable "$package"; fi
  done
)

install_python() {
  local want stamp=.venv/requirements.sha256
  want=$(sha256sum tests/requirements.txt | cut -d' ' -f1)
  [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && return
  echo "installing: Python packages of tests/requirements.txt into .venv"
  rm -rf .venv
  /usr/bin/python3 -m venv .venv
  .venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
  echo "$want" >"$stamp"
}

install_packages "${build_packages[@]}"
install_without_service "${service_packages[@]}"
if [ "${1:-}" = "--tests" ]; then
  install_packages "${test_packages[@]}"
  install_without_service "${test_service_packages[@]}"
  install_python
fi
