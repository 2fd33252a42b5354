#!/usr/bin/env bash
# Fills FOLDER with the storage of a docker-registry that holds nginx, redis, postgres and python (with flask), made of
# Debian packages and laid out as the images of those names on Docker Hub are. Does nothing when FOLDER holds what these
# scripts make; nothing half made is ever left under its name. Needs a Debian mirror, no image registry.
set -euo pipefail
folder=${1:?usage: make-images.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
stamp=$(cat "$here"/make-images.sh "$here"/*/* | sha256sum | cut -d' ' -f1)
if [ "$(cat "$folder/stamp" 2>/dev/null || true)" = "$stamp" ]; then
    exit 0
fi

mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
if [ "$(cat "$folder/stamp" 2>/dev/null || true)" = "$stamp" ]; then
    exit 0
fi

work=$(mktemp -d -p "$(dirname "$folder")")
registry_pid=
clean_up() {
    [ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
log=$folder.log
: >"$log"
say() { echo "make-images.sh: $*"; }
buildah() {
    command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@" >>"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; return 1; }
}

say "bookworm as the base (minutes, once)"
mmdebstrap --quiet --variant=minbase bookworm "$work/debian.tar" 2>>"$log" || { tail -n 20 "$log" >&2; exit 1; }
mkdir "$work/base"
cp "$work/debian.tar" "$work/base/"
printf 'FROM scratch\nADD debian.tar /\nCMD ["bash"]\n' >"$work/base/Containerfile"
buildah bud --isolation chroot --tag localhost/debian:12 "$work/base"

port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "%s"}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
    "$work/registry" "$port" >"$work/registry.yml"
docker-registry serve "$work/registry.yml" >>"$log" 2>&1 9>&- &
registry_pid=$!

for image in nginx:1.22 redis:7.0 postgres:15 python:3.11-slim; do
    say "$image"
    buildah bud --isolation chroot --tag "localhost/$image" "$here/${image%%:*}"
    buildah push --tls-verify=false "localhost/$image" "docker://127.0.0.1:$port/library/$image"
done
echo "$stamp" >"$work/registry/stamp"
rm -rf "$folder"
mv "$work/registry" "$folder"
say "done: $(du -sh "$folder" | cut -f1) in $folder"
