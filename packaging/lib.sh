# shellcheck shell=bash disable=SC2034  # not every script uses all of it
# What the scripts here share; each is run from anywhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target} CARGO_INCREMENTAL=0
dist=$CARGO_TARGET_DIR/dist
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)

fail() {
  printf '%s: %s\n' "$0" "$1" >&2
  exit 1
}

need() { # COMMAND DEBIAN_PACKAGE
  command -v "$1" >/dev/null || fail "$1 is missing: install Debian's package $2"
}

# What a machine is called: by Debian and Kubernetes (the argument), by Rust, and by Linux. And what runs its programs here.
machine() { # amd64|arm64
  debian=$1
  case $1 in
    amd64) target=x86_64-unknown-linux-gnu linux=x86_64 ;;
    arm64) target=aarch64-unknown-linux-gnu linux=aarch64 ;;
    *) fail "amd64 or arm64, not '$1'" ;;
  esac
  built=$CARGO_TARGET_DIR/$target/release
  program=$built/etcd-medic
  emulator=()
  if [[ $(uname -m) != "$linux" ]]; then
    need "qemu-$linux-static" qemu-user-static
    emulator=("$(command -v "qemu-$linux-static")")
  fi
}

# All files of a release get the time of the commit, so that the same commit makes the same files.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

reproducible_tar() { # ARGUMENTS of tar
  tar --create --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" "$@"
}

checksums() {
  local sums
  sums=$(cd "$dist" && find . -type f ! -name SHA256SUMS -printf '%P\0' | sort -z | xargs -0 sha256sum)
  printf '%s\n' "$sums" >"$dist/SHA256SUMS"
}
