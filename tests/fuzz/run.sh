#!/usr/bin/env bash
# Runs every fuzz target for FUZZ_SECONDS (60), two at a time, from the seeds in the tree. Fails with the first input that does.
# FUZZ_SEED (1) makes two runs alike; 0 is by chance, for long runs by hand.
#   tests/fuzz/run.sh FOLDER_OF_PROGRAMS
set -euo pipefail
programs=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
scratch=$(mktemp -d /tmp/composed-fuzz-XXXXXX)
trap 'rm -rf "$scratch"' EXIT
export FUZZ_SECONDS=${FUZZ_SECONDS:-60} FUZZ_SEED=${FUZZ_SEED:-1}

one() {
    local name=$1 seeds=("$here/corpus/$1")
    [ "$name" = loader ] && seeds=("$here/../compose_corpus")
    mkdir -p "$scratch/$name"
    # The outer limit is for an input that never ends: libFuzzer's own alarm can wait for ever in the allocator it interrupted.
    if timeout -k 5 $((FUZZ_SECONDS + 120)) "$programs/fuzz_$name" -max_total_time="$FUZZ_SECONDS" -seed="$FUZZ_SEED" -timeout=20 -rss_limit_mb=2048 -max_len=16384 \
        -print_final_stats=1 -artifact_prefix="$PWD/fuzz-$name-" "$scratch/$name" "${seeds[@]}" >"$scratch/$name.log" 2>&1; then
        echo "fuzz $name: $(sed -n 's/stat::number_of_executed_units: *//p' "$scratch/$name.log") inputs, nothing found"
    else
        echo "fuzz $name: failed ($?)"
        tail -40 "$scratch/$name.log"
        return 1
    fi
}
export -f one
export programs here scratch
printf '%s\n' loader interpolation dotenv durations bytes ports volumes dns references registry layers http | xargs -P 2 -I{} bash -c 'one {}'
