# shellcheck shell=bash disable=SC2154,SC2164  # what is sourced before ends at an error, and knows the version
# Runs every command on the files of testdata by two programs, and compares how each run ends, what it prints and what it writes.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/other/root

# Each test file unpacked, some packed, too, in two places that differ in nothing.
fill() {
  local packed
  mkdir -p "$root"
  cp -a testdata "$root/testdata"
  find "$root/testdata" ! -name '*.db' ! -name '*.zst' -type f -delete
  while IFS= read -r -d '' packed; do
    case $packed in
      *.tar.zst) tar --zstd -xf "$packed" -C "$(dirname "$packed")" ;;
      # unpacks to 80 MiB of one kind: it takes half of the time, and shows nothing more
      */freelist-ffff.db.zst) ;;
      *) zstd -q -d "$packed" ;;
    esac
    [[ $packed == */k8s-3.5/*.db.zst ]] || rm "$packed"
  done < <(find "$root/testdata" -name '*.zst' -print0)
  mkdir "$root/out"
  mkdir "$work/usual"
  cp -a "$root" "$work/usual/root"
}

# The arguments of each run, a line each; FILE is a db. All paths are relative to the root.
commands_on() { # FILE
  local command
  for command in analyze status check pages buckets hash plan cleanup keys; do
    printf '%s\n' "$command $1" "$command $1 --output json"
  done
  printf '%s\n' "page $1 0 1 2" "page $1 0 --hex" "status --quota 8GiB $1" "keys --deleted $1" "export $1 --out out/objects" \
    "history $1 /registry/namespaces/default" "get $1 /registry/namespaces/default" \
    "defrag $1 -o out/copy" "salvage $1 -o out/saved"
}

commands() {
  local file member
  (
    cd "$root"
    find testdata -name '*.db' -o -name db -type f | sort
  ) >"$work/files"
  while IFS= read -r file; do
    commands_on "$file"
  done <"$work/files"
  # unpacked beside the file: there is no /tmp
  for file in $(cd "$root" && find testdata -name '*.db.zst' | sort); do
    printf '%s\n' "analyze $file" "status $file" "check $file" "hash $file" "keys $file" "defrag $file -o out/copy"
  done
  # changes the member: after all that reads it
  for member in $(cd "$root" && find testdata -name member -type d | sort); do
    printf '%s\n' "check ${member%/member}" "defrag --in-place ${member%/member}"
  done
  printf '%s\n' "" "--version" "-V" "--help" "analyze --help" "nonsense" "status testdata/missing" \
    "synth -o out/made --size 4MiB --seed 7" "schema" "schema analyze" \
    "completions bash" "completions zsh" "completions fish" "man out"
}

# How each run ends, what it prints and what it writes, a file for each in RESULTS.
record() { # ROOT RESULTS PROGRAM...
  local number=0 arguments code
  mkdir "$2"
  cd "$1"
  while IFS= read -r arguments; do
    for _ in 1 2 3 4; do
      code=0
      # shellcheck disable=SC2086  # words of one line, none of them has a blank
      env -i "${@:3}" $arguments </dev/null >"$2/$number.out" 2>"$2/$number.err" || code=$?
      # Wine loses one program in a hundred as it ends
      ((code == 137)) || grep -q '^wine client error' "$2/$number.err" || break
      find out -mindepth 1 -delete
    done
    {
      printf '%s\nexit code %d\n' "$arguments" "$code"
      find out -type f -exec sha256sum {} + | sort -k 2
    } >"$2/$number.end"
    # the pages say which build they are of
    [[ $arguments != man* ]] || sed -E "s/$version (\(|\\\\\().*\)/VERSION/" out/* | sha256sum >"$2/$number.end"
    find out -mindepth 1 -delete
    number=$((number + 1))
  done <"$work/commands"
}

# Times that a run took differ; so do what --version says of the build, and each system's words for its errors.
without_times() { # RESULTS
  find "$1" '(' -name '*.out' -o -name '*.err' ')' -exec sed -i -E \
    -e 's/: [^:]+ (\(os error [0-9]+\))/: SYSTEM \1/' -e 's/\b[0-9.]+ s\b/TIME/g' -e 's/("elapsed_seconds": )[0-9.e-]+/\1TIME/' -e "s/^(etcd-medic $version) \(.*\)$/\1 BUILD/" {} +
}

# Does all of it; a program is what `record` takes.
compare() { # USUAL NAME OTHER...
  commands >"$work/commands"
  record "$root" "$work/other/results" "${@:3}" &
  record "$work/usual/root" "$work/usual/results" "$1"
  wait $!
  without_times "$work/other/results"
  without_times "$work/usual/results"
  diff -r "$work/usual/results" "$work/other/results" >"$work/differences" || {
    head -n 40 "$work/differences"
    fail "$2 says or does something else than $1"
  }
  printf '%s: %d runs on %d files, each as that of %s\n' "$2" "$(wc -l <"$work/commands")" "$(wc -l <"$work/files")" "$1"
  grep -h '^exit code' "$work"/usual/results/*.end | sort | uniq -c
}
