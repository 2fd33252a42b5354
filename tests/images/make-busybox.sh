#!/usr/bin/env bash
# Makes OUT.tar, a docker-archive with the image busybox:latest, from this host's static busybox. No network.
set -euo pipefail
out=${1:?usage: make-busybox.sh OUT.tar}
binary=$(command -v busybox)
if ldd "$binary" >/dev/null 2>&1; then
    echo "make-busybox.sh: $binary is not static; install busybox-static" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,etc,dev,proc,sys,root,home,usr/bin,usr/sbin,sbin,var/www,var/log,tmp}
chmod 1777 "$root/tmp"
cp "$binary" "$root/bin/busybox"
for applet in $("$binary" --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\nwww-data:x:33:33:www:/var/www:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n' >"$root/etc/group"

# Names and times are fixed, so equal busyboxes make equal images.
tar --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 -C "$root" -cf "$work/layer.tar" .
layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
arch=$(dpkg --print-architecture)
cat >"$work/config.json" <<JSON
{"architecture":"$arch","os":"linux","created":"1970-01-01T00:00:00Z","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]},"history":[{"created":"1970-01-01T00:00:00Z","created_by":"busybox-static"}]}
JSON
printf '[{"Config":"config.json","RepoTags":["busybox:latest"],"Layers":["layer.tar"]}]' >"$work/manifest.json"
tar --sort=name --mtime=@0 --numeric-owner --owner=0 --group=0 -C "$work" -cf "$out" manifest.json config.json layer.tar
