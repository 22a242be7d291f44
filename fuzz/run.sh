#!/usr/bin/env bash
# Fuzzes every decoder, one after the other: fuzz/run.sh [SECONDS each] [TARGET…]. Seeds are the fixtures, a record a file.
# Needs a nightly compiler and cargo-fuzz; a crash stops it and stays in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
fixtures=tests/fixtures
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for file in fuzz/fuzz_targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# The corpus of a target: its fixtures, a line a file; binary messages are files already.
seed() {
    local target=$1 directory="fuzz/corpus/$1" sources=()
    mkdir -p "$directory"
    case $target in
        native) sources=("$fixtures/native_records.ndjson") ;;
        combined) sources=("$fixtures"/access-log/*.log) ;;
        sql) # Files of several folders have the same name.
            for file in queries/*/*.sql; do cp "$file" "$directory/${file//\//-}"; done
            return ;;
        otlp_proto) cp "$fixtures"/formats/*.binpb "$directory/"; return ;;
        *) sources=("$fixtures/formats/$target.ndjson") ;;
    esac
    local number=0 line
    while IFS= read -r line; do
        printf '%s' "$line" >"$directory/fixture-$((number += 1))"
    done < <(cat "${sources[@]}")
}

for target in "${targets[@]}"; do
    seed "$target"
    echo "== $target: $seconds s"
    cargo +nightly fuzz run --fuzz-dir fuzz "$target" -- -max_total_time="$seconds" -max_len=65536 -print_final_stats=1
done
