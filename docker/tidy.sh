#!/usr/bin/env bash
# clang-tidy over our sources with the compile commands of BUILD; ends with 1 when it finds anything.
set -euo pipefail
build=${1:?usage: tidy.sh BUILD [FILE…]}
shift
files=("$@")
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(git ls-files 'compose/*.cpp' 'engine/*.cpp' 'api/*.cpp')
# The flags are g++'s: clang is told not to mind those it does not know.
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "${JOBS:-$(nproc)}" clang-tidy -p "$build" --quiet \
    --extra-arg=-Wno-unknown-warning-option 2>/dev/null
