# shellcheck shell=bash disable=SC2034  # not every script uses all of it
# What `.ci/run` and `.ci/long` share; both are run from the root of the clone.
set -euo pipefail

export CI=${CI:-true} CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never} CARGO_INCREMENTAL=0
# names and lines of a backtrace are not worth the time they take
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
readonly cargo_fuzz=0.13.2
readonly cargo_deny=0.20.2
corpora=$PWD/../shared/corpora
members=$PWD/../shared/members
peers=$CARGO_TARGET_DIR/peers

work=$(mktemp -d)
policy=
cleanup() {
  local group
  for group in "${begun[@]}"; do
    kill -- "-$group" 2>/dev/null || true
  done
  rm -rf "$work"
  [[ -z $policy ]] || rm -f "$policy"
}
trap cleanup EXIT

TIMEFORMAT='--- processors: %U s, and %S s of the system'

step() { # NAME COMMAND...
  local name=$1 began=$SECONDS
  shift
  printf '\n=== %s\n' "$name"
  time "$@" </dev/null
  printf -- '--- %s: %d s (%d s since the start)\n' "$name" $((SECONDS - began)) "$SECONDS"
}

fail() {
  printf 'FAILED: %s\n' "$1" >&2
  exit 1
}

# Begins a step that `end` waits for. It is a process group of its own, so that it can be stopped with all it has started.
declare -A begun=()
begin() { # FUNCTION
  set -m
  { time "$1"; } </dev/null >"$work/$1.log" 2>&1 &
  begun[$1]=$!
  set +m
}

end() { # FUNCTION [PATTERN of the lines to show]
  wait "${begun[$1]}" || {
    cat "$work/$1.log"
    fail "$1"
  }
  grep -E "${2:-.}|^---" "$work/$1.log"
}

# cargo fmt and cargo clippy may be missing where cargo is there
install_cargo_tools() {
  cargo fmt --version && cargo clippy --version && return
  command -v rustup >/dev/null || fail "cargo fmt or cargo clippy is missing, and there is no rustup to add it"
  rustup component add rustfmt clippy
}

install_debian_packages() {
  local package missing=()
  for package in zstd etcd-server etcd-client jq strace shellcheck; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || { echo "nothing to install"; return; }
  # the package would start an etcd: forbidden meanwhile, by what Debian has for it
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
  if [[ -n $policy ]]; then
    rm -f "$policy"
    policy=
  fi
}

# promtool alone, taken out of Debian's package: nothing is installed, no Prometheus is started
fetch_promtool() {
  (cd "$work" && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb prometheus)
  "$work/prometheus/usr/bin/promtool" --version
}

need_go() {
  command -v go >/dev/null || fail "Go is missing: install it (https://go.dev/dl), it builds the etcds that tests compare with"
  go version
}

# each shell script with what it sources, and each workflow with the commands in it
scripts() {
  git ls-files -z -- .ci/run .ci/long packaging tests/peers/build tests/peers/pin '*.sh' docs/monitoring/etcd-medic-metrics \
    ':!:*/lib.sh' ':!:*.toml' | xargs -0 shellcheck --check-sourced
  go -C .ci/actionlint tool actionlint "$PWD"/.github/workflows/*.yml
}

# a release's program for x86-64: two minutes of one processor, and behind everything else
build_static() {
  renice -n 10 "$BASHPID"
  packaging/build
}

# about four minutes on two cores the first time, then half a minute from Go's cache
build_peers() { tests/peers/build "$peers"; }

# The fenced block behind `<!-- test-command -->` in the README: what a stranger is told to run must work.
readme_test_command() {
  local command
  command=$(awk '
    marked && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }
    /^<!-- test-command -->$/ { marked = 1 }
  ' README.md)
  [[ -n $command ]] || fail "README.md has no fenced block behind a line <!-- test-command -->"
  printf '+ %s\n' "$command"
  bash -euo pipefail -c "$command"
}

# All that tests can be given: real etcds, the large files, promtool. With etcd they wait most of the time, so more of them run
# at once than there are processors.
with_everything() { # COMMAND...
  local -x ETCD_MEDIC_PEERS=$peers ETCD_MEDIC_PROMTOOL=$work/prometheus/usr/bin/promtool ETCD_MEDIC_REQUIRE_PEERS=1
  local -x RUST_TEST_THREADS=$((3 * $(nproc)))
  if [[ -d $corpora ]]; then
    local -x ETCD_MEDIC_CORPORA=$corpora
  else
    printf '!!! SKIPPED: no %s: the large real files are NOT tested\n' "$corpora" >&2
  fi
  if [[ -d $members ]]; then
    local -x ETCD_MEDIC_MEMBERS=$members
  else
    printf '!!! SKIPPED: no %s: directories of real members are NOT tested\n' "$members" >&2
  fi
  "$@"
}

need_fuzzing() {
  [[ -d $work/seeds ]] || ETCD_MEDIC_SEEDS=$work/seeds cargo test --test files seeds_of -- --ignored
  cargo install cargo-fuzz --version "$cargo_fuzz" --locked --root "$work/cargo-fuzz"
}

fuzz() { # TARGET, the FOLDER of what it finds, ARGUMENTS of libFuzzer...
  local target=$1 found=$2 seeds=file
  shift 2
  [[ ! -d $work/seeds/$target ]] || seeds=$target
  mkdir -p "$found"
  "$work/cargo-fuzz/bin/cargo-fuzz" fuzz run --fuzz-dir tests/fuzz --sanitizer none "$target" "$found" "$work/seeds/$seeds" \
    -- "$@" -timeout=20 -max_len=131072 -verbosity=0 -print_final_stats=1
}

# Each target for SECONDS; a third less for those that take no file.
fuzzing() { # SECONDS
  local target seconds
  need_fuzzing
  for target in tests/fuzz/targets/*.rs; do
    target=$(basename "$target" .rs) seconds=$1
    [[ ! -d $work/seeds/$target ]] || seconds=$((2 * $1 / 3))
    echo "=== fuzz target $target, $seconds s"
    fuzz "$target" "$work/found/$target" -max_total_time="$seconds"
  done
}
readonly fuzzing_shows='^(=== fuzz|Done|stat::number_of_executed_units)'
