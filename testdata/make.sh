#!/usr/bin/env bash
# Makes small fixtures with a real etcd.
#
#   ETCD_MEDIC_ETCD_BIN=FOLDER testdata/make.sh TARGET [--zstd]
#
# FOLDER holds the programs etcd and etcdctl (3.4 or newer) and, for 3.5 or newer, etcdutl: the programs
# themselves, not wrappers, since etcd is stopped by its process id.
# Into TARGET come, for each WHAT of kv, defrag, lease, nospace and auth:
#   etcd-VERSION-WHAT.db            the file as etcd left it when it was stopped
#   etcd-VERSION-WHAT.snapshot.db   `etcdctl snapshot save` of the running etcd, shortly before
#   etcd-VERSION-WHAT.truth.json    what etcd's own tools say of it, word for word
# With --zstd the .db files are left as .db.zst.
# All values and passwords are throw-away text. Every loop and every call is bounded.
set -euo pipefail

bin=${ETCD_MEDIC_ETCD_BIN:-}
target=${1:-}
pack=${2:-}
if [[ -z $bin || -z $target ]]; then
  echo "usage: ETCD_MEDIC_ETCD_BIN=FOLDER $0 TARGET [--zstd]" >&2
  exit 2
fi
for p in etcd etcdctl; do
  [[ -x $bin/$p ]] || { echo "no program $p in $bin" >&2; exit 2; }
done
# etcd and etcdctl read variables of these names as settings
for v in $(compgen -e | grep -E '^(ETCD|ETCDCTL)_' || true); do unset "$v"; done
export ETCDCTL_API=3

mkdir -p "$target"
target=$(cd "$target" && pwd)
version=$("$bin/etcd" --version | awk '/^etcd Version:/ {print $3}')
[[ -n $version ]] || { echo "etcd --version gave no version" >&2; exit 1; }
work=$(mktemp -d)
pid=
login=()

stop() {
  if [[ -n $pid ]]; then
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
  fi
}
cleanup() { stop; rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() {
  local p
  for _ in $(seq 50); do
    p=$((20000 + RANDOM))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then echo "$p"; return; fi
  done
  echo "no free port found" >&2
  return 1
}

ctl() { timeout 20 "$bin/etcdctl" --endpoints="127.0.0.1:$client" "${login[@]}" "$@"; }
# the JSON that a tool prints, or null where it has none to give
json() {
  local out
  out=$("$@" -w json 2>/dev/null) || out=
  printf '%s' "${out:-null}"
}

start() { # WHAT [etcd flags]
  local what=$1 peer
  shift
  login=()
  for _ in 1 2 3; do
    client=$(free_port)
    peer=$(free_port)
    [[ $client != "$peer" ]] || continue
    rm -rf "${work:?}/$what"
    "$bin/etcd" --name fixture --data-dir "$work/$what" \
      --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
      --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
      --initial-cluster "fixture=http://127.0.0.1:$peer" "$@" >"$work/$what.log" 2>&1 &
    pid=$!
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      if timeout 5 "$bin/etcdctl" --endpoints="127.0.0.1:$client" endpoint health >/dev/null 2>&1; then return; fi
      sleep 0.1
    done
    stop
  done
  echo "etcd did not start; its log:" >&2
  tail -n 20 "$work/$what.log" >&2
  return 1
}

revision() { ctl endpoint status -w json | sed -E 's/.*"revision":([0-9]+).*/\1/'; }

status_of() { # a copy of the file goes to the tool, which might write to it
  cp "$1" "$work/status.db"
  chmod u+w "$work/status.db"
  if [[ -x $bin/etcdutl ]]; then json timeout 20 "$bin/etcdutl" snapshot status "$work/status.db"
  else json timeout 20 "$bin/etcdctl" snapshot status "$work/status.db"; fi
}

# Asks the running etcd, stops it and saves its file. keys_only: "yes" leaves the values out of the truth.
finish() { # WHAT keys_only lease...
  local what=$1 keys_only=$2 name=etcd-$version-$1 rev i sep more=()
  shift 2
  [[ $keys_only == no ]] || more=(--keys-only)
  local t=$work/truth.json
  rev=$(revision)
  rm -f "$target/$name.db" "$target/$name.snapshot.db" "$target/$name.db.zst" "$target/$name.snapshot.db.zst"
  ctl snapshot save "$target/$name.snapshot.db" >/dev/null 2>&1
  {
    printf '{\n"version":"%s",\n"what":"%s",\n"revision":%s,\n' "$version" "$what" "$rev"
    printf '"endpoint_status":%s,\n' "$(json ctl endpoint status)"
    printf '"hashkv":%s,\n"hashkv_at":{' "$(json ctl endpoint hashkv)"
    sep=
    for i in 0 1 2 5; do
      if ((rev - i > 0)); then
        printf '%s\n"%s":%s' "$sep" $((rev - i)) "$(json ctl endpoint hashkv --rev=$((rev - i)))"
        sep=,
      fi
    done
    printf '},\n"keys":%s,\n' "$(json ctl get --prefix "" "${more[@]}")"
    if [[ $keys_only == no ]]; then
      # what etcd still serves of the history after the compaction: one answer of the watch per element
      local first=$((compacted + 1))
      (timeout 3 "$bin/etcdctl" --endpoints="127.0.0.1:$client" "${login[@]}" watch --rev="$first" --prefix "" -w json || true) \
        2>/dev/null >"$work/watch" </dev/null
      printf '"history_from":%s,\n"history":[%s],\n' "$first" "$(paste -sd, "$work/watch")"
    fi
    printf '"leases":%s,\n"lease_details":[' "$(json ctl lease list)"
    sep=
    for i in "$@"; do
      printf '%s\n%s' "$sep" "$(json ctl lease timetolive "$i" --keys)"
      sep=,
    done
    printf '],\n"alarms":%s,\n"members":%s,\n' "$(json ctl alarm list)" "$(json ctl member list)"
    printf '"auth":{"users":%s,"roles":%s,\n"user_details":{' "$(json ctl user list)" "$(json ctl role list)"
    sep=
    for i in "${users[@]}"; do printf '%s\n"%s":%s' "$sep" "$i" "$(json ctl user get "$i")"; sep=,; done
    printf '},\n"role_details":{'
    sep=
    for i in "${roles[@]}"; do printf '%s\n"%s":%s' "$sep" "$i" "$(json ctl role get "$i")"; sep=,; done
    printf '}},\n'
  } >"$t"
  stop
  cp "$work/$what/member/snap/db" "$target/$name.db"
  chmod 644 "$target/$name.db" "$target/$name.snapshot.db"
  {
    printf '"files":{\n"%s":{"size":%s,"sha256":"%s","snapshot_status":%s},\n' "$name.db" \
      "$(stat -c %s "$target/$name.db")" "$(sha256sum <"$target/$name.db" | cut -d' ' -f1)" "$(status_of "$target/$name.db")"
    printf '"%s":{"size":%s,"sha256":"%s","snapshot_status":%s}}\n}\n' "$name.snapshot.db" \
      "$(stat -c %s "$target/$name.snapshot.db")" "$(sha256sum <"$target/$name.snapshot.db" | cut -d' ' -f1)" \
      "$(status_of "$target/$name.snapshot.db")"
  } >>"$t"
  cp "$t" "$target/$name.truth.json"
  if [[ $pack == --zstd ]]; then
    zstd -q -19 --rm -f "$target/$name.db" "$target/$name.snapshot.db"
  fi
  rm -rf "${work:?}/$what"
  echo "$name: revision $rev"
}

text() { printf 'throw-away text %s. ' "$@"; }
long() { local s; s=$(text "$1"); for _ in 1 2 3 4 5 6 7 8; do s=$s$s; done; printf '%s' "${s:0:$2}"; }
txn() { printf '%s\n' "$@" | ctl txn >/dev/null; }

# puts, deletions, keys made anew, revisions of several operations, a compaction, writes after it
kv() { # WHAT
  local i j
  start "$1"
  for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ctl put "/fixture/a/$i" "$(text "$i")" >/dev/null; done
  for j in 1 2 3; do for i in 2 4 6; do ctl put "/fixture/a/$i" "$(text "$i" again "$j")" >/dev/null; done; done
  ctl put /fixture/long "$(long L 6000)" >/dev/null
  ctl put /fixture/empty "" >/dev/null
  ctl del /fixture/a/3 >/dev/null
  ctl del --prefix /fixture/a/1 >/dev/null # 1, 10, 11 and 12 in one revision
  ctl put /fixture/a/3 "$(text made anew)" >/dev/null
  txn '' 'put /fixture/t/1 one' 'put /fixture/t/2 two' 'del /fixture/a/5' '' '' ''
  txn 'value("/fixture/t/1") = "one"' '' 'put /fixture/t/1 uno' 'put /fixture/t/3 tre' '' 'put /fixture/t/never no' ''
  compacted=$(revision)
  ctl compaction --physical "$compacted" >/dev/null
  ctl put /fixture/after/1 "$(text after the compaction)" >/dev/null
  ctl put /fixture/a/2 "$(text 2 after)" >/dev/null
  ctl del /fixture/a/4 >/dev/null
  txn '' 'del /fixture/t/2' 'put /fixture/after/2 two' 'put /fixture/after/3 three' '' '' ''
  ctl put /fixture/after/1 "$(text the last)" >/dev/null
  if [[ $1 == defrag ]]; then ctl defrag >/dev/null; fi
  finish "$1" no
}

lease() {
  local a b c i
  start lease
  compacted=0
  a=$(ctl lease grant 3600 | awk '{print $2}')
  b=$(ctl lease grant 86400 | awk '{print $2}')
  c=$(ctl lease grant 1000 | awk '{print $2}')
  for i in 1 2 3; do ctl put "/fixture/lease/a/$i" "$(text a "$i")" --lease="$a" >/dev/null; done
  ctl put /fixture/lease/b "$(text b)" --lease="$b" >/dev/null
  ctl put /fixture/lease/moved "$(text b at first)" --lease="$b" >/dev/null
  ctl put /fixture/lease/moved "$(text now a)" --lease="$a" >/dev/null
  ctl put /fixture/lease/freed "$(text a at first)" --lease="$a" >/dev/null
  ctl put /fixture/lease/freed "$(text now none)" >/dev/null
  ctl put /fixture/lease/gone "$(text c)" --lease="$c" >/dev/null
  ctl put /fixture/lease/gone2 "$(text c)" --lease="$c" >/dev/null
  ctl lease revoke "$c" >/dev/null
  c=$(ctl lease grant 500000 | awk '{print $2}') # no key
  finish lease no "$a" "$b" "$c"
}

nospace() {
  local i full=
  start nospace --quota-backend-bytes 262144
  compacted=0
  for i in $(seq 100); do
    if ! ctl put "/fixture/fill/$i" "$(long "$i" 4000)" >/dev/null 2>"$work/put.err"; then full=$i; break; fi
  done
  [[ -n $full ]] || { echo "the quota was never reached" >&2; return 1; }
  grep -q 'database space exceeded' "$work/put.err"
  ctl del /fixture/fill/1 >/dev/null # still allowed
  finish nospace yes
}

auth() {
  local i
  start auth
  compacted=0
  ctl put /fixture/before "$(text before auth)" >/dev/null
  ctl user add root:throw-away >/dev/null
  ctl user add reader:throw-away >/dev/null
  ctl user add writer:throw-away >/dev/null
  ctl user add bare --no-password >/dev/null
  for i in root reading writing unused; do ctl role add "$i" >/dev/null; done
  ctl role grant-permission reading --prefix=true read /fixture/ >/dev/null
  ctl role grant-permission writing readwrite /fixture/a /fixture/m >/dev/null
  ctl role grant-permission writing write /fixture/single >/dev/null
  ctl user grant-role root root >/dev/null
  ctl user grant-role reader reading >/dev/null
  ctl user grant-role writer reading >/dev/null
  ctl user grant-role writer writing >/dev/null
  ctl auth enable >/dev/null
  login=(--user=writer:throw-away)
  ctl put /fixture/b "$(text by writer)" >/dev/null
  ctl put /fixture/single "$(text by writer)" >/dev/null
  login=(--user=root:throw-away)
  users=(root reader writer bare)
  roles=(root reading writing unused)
  finish auth no
}

users=()
roles=()
kv kv
kv defrag
lease
nospace
auth
