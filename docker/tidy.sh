#!/usr/bin/env bash
# clang-tidy over our sources with the compile commands of BUILD; ends with 1 when it finds anything.
set -euo pipefail
build=${1:?usage: tidy.sh BUILD [FILE…]}
shift
files=("$@")
[ ${#files[@]} -gt 0 ] || mapfile -t files < <(git ls-files 'compose/*.cpp' 'engine/*.cpp' 'api/*.cpp')
# The flags are g++'s: clang gets neither its precompiled header nor its parameters, and is told not to mind those that
# it does not know.
mkdir -p "$build/tidy"
sed -E 's# -Winvalid-pch##; s# -include [^ ]*cmake_pch\.hxx##; s# --param=[^ ]+##g' \
    "$build/compile_commands.json" >"$build/tidy/compile_commands.json"
printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "${JOBS:-$(nproc)}" clang-tidy -p "$build/tidy" --quiet \
    --extra-arg=-Wno-unknown-warning-option 2>/dev/null
