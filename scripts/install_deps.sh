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
  libgtest-dev libgmock-dev libbenchmark-dev curl python3)
test_packages=(python3-venv clang clang-format clang-tidy iproute2 iptables libfuse3-3)

install_packages() {
  local missing=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "installing: ${missing[*]}"
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
      echo "install_deps.sh: run as root, or install sudo; missing: ${missing[*]}" >&2
      exit 1
    }
    root=(sudo)
  fi
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

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
if [ "${1:-}" = "--tests" ]; then
  install_packages "${test_packages[@]}"
  install_python
fi
