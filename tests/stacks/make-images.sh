#!/usr/bin/env bash
# Fills FOLDER with the storage of a docker-registry that holds the images of the stacks beside it, and those of
# tests/images/make-images.sh, whose storage is BASE. Does nothing when it is there already; nothing half made is ever left
# under its name. Needs a Debian mirror.
set -euo pipefail
folder=${1:?usage: make-images.sh FOLDER BASE} base=${2:?usage: make-images.sh FOLDER BASE}
here=$(cd "$(dirname "$0")" && pwd)
stamp=$(find "$here/make-images.sh" "$here/images" "$base/stamp" -type f | LC_ALL=C sort | xargs cat | sha256sum | cut -d' ' -f1)
if [ "$(cat "$folder/stamp" 2>/dev/null || true)" = "$stamp" ]; then
    exit 0
fi

exec 9>"$folder.lock"
flock 9
if [ "$(cat "$folder/stamp" 2>/dev/null || true)" = "$stamp" ]; then
    exit 0
fi

work=$(mktemp -d -p "$(dirname "$folder")")
# In memory where there is enough: tens of thousands of files, flushed one by one, and gone again at the end.
made=$work
[ "$(df --output=avail -m /dev/shm | tail -n 1)" -lt 6000 ] || made=$(mktemp -d -p /dev/shm composed-images-XXXXXX)
registry_pid=
clean_up() {
    [ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null || true
    rm -rf "$work" "$made"
}
trap clean_up EXIT
log=$folder.log
: >"$log"
say() { echo "stacks/make-images.sh: $*"; }
# Not vfs as a driver: each of the images would be a copy of the whole layer.
buildah() {
    command buildah --root "$made/storage" --runroot "$made/run" --storage-driver overlay "$@" >>"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; return 1; }
}

# What is in the storage is never written to again, so it can be shared.
cp -al "$base" "$work/registry"
rm "$work/registry/stamp"
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "%s"}}\nhttp: {addr: "127.0.0.1:%s"}\n' \
    "$work/registry" "$port" >"$work/registry.yml"
docker-registry serve "$work/registry.yml" >>"$log" 2>&1 9>&- &
registry_pid=$!
until curl -fsS -o /dev/null "http://127.0.0.1:$port/v2/" 2>/dev/null; do sleep 0.1; done

say "packages of all stacks (minutes, once)"
while read -r stage name; do
    say "$name"
    buildah bud --layers --tls-verify=false --isolation chroot --build-arg "BASE=127.0.0.1:$port/library/python:3.11-slim" \
        --target "$stage" --tag "localhost/$stage" "$here/images"
    case $name in */*) ;; *) name=library/$name ;; esac
    buildah push --tls-verify=false "localhost/$stage" "docker://127.0.0.1:$port/$name"
done <"$here/images/names"
echo "$stamp" >"$work/registry/stamp"
rm -rf "$folder"
mv "$work/registry" "$folder"
say "done: $(du -sh "$folder" | cut -f1) in $folder"
