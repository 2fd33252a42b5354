#!/usr/bin/env bash
# Starts a composed of its own and brings examples/hello up: run-example.sh BIN FOLDER [stop]
set -euo pipefail
bin=$(realpath "$1")
folder=$2
root=$(dirname "$(dirname "$(realpath "$0")")")
export COMPOSED_HOST=unix://$folder/run/composed.sock
compose=("$bin/compose" --project-directory "$root/examples/hello" -f "$root/examples/hello/compose.yaml")

if [ "${3:-}" = stop ]; then
    "${compose[@]}" down -v || true
    [ ! -f "$folder/pid" ] || kill "$(cat "$folder/pid")" 2>/dev/null || true
    nft delete table ip composed_run 2>/dev/null || true
    nft delete table ip6 composed_run 2>/dev/null || true
    rm -rf "$folder"
    exit 0
fi

mkdir -p "$folder"
if ! "$bin/compose" ls -q >/dev/null 2>&1; then
    "$bin/composed" --instance composed-run --state "$folder/state" --run "$folder/run" --log-file "$folder/log" \
        --daemonize --pid-file "$folder/pid"
fi
[ -f "$folder/busybox.tar" ] || "$root/tests/images/make-busybox.sh" "$folder/busybox.tar"
"$bin/compose" load -i "$folder/busybox.tar"
echo "+ compose up -d"
"${compose[@]}" up -d
echo "+ compose ps"
"${compose[@]}" ps
echo "+ curl http://127.0.0.1:8080"
curl -sS -m 5 http://127.0.0.1:8080
echo
echo "It runs on. Use it:   export COMPOSED_HOST=$COMPOSED_HOST; cd examples/hello; $bin/compose logs -f"
echo "Take it down again:   make stop"
