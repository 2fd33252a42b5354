#!/usr/bin/env bash
# Makes FOLDER/{disk.img,kernel,initrd}: a Debian 12 with systemd and cgroup v2 that runs, once booted, the program `run` of a
# second disk and then powers off. Does nothing when FOLDER holds what this script makes.
set -euo pipefail
folder=${1:?usage: make-machine.sh FOLDER}
stamp=$(sha256sum "$0" | cut -d' ' -f1)
[ "$(cat "$folder/stamp" 2>/dev/null || true)" != "$stamp" ] || exit 0

mkdir -p "$(dirname "$folder")"
work=$(mktemp -d -p "$(dirname "$folder")")
trap 'rm -rf "$work"' EXIT
packages=systemd-sysv,udev,dbus,linux-image-cloud-amd64,kmod,procps,iproute2,nftables,curl,e2fsprogs,busybox-static,python3
packages+=,crun,golang-github-containers-common,ca-certificates,openssl
# What our programs are linked with.
packages+=,libboost-json1.81.0,libboost-url1.81.0,libyaml-cpp0.7,libspdlog1.10,libfmt9,libsqlite3-0,libssl3,libarchive13
packages+=,libisal2,libzstd1,libnl-3-200,libnl-route-3-200,libnl-nf-3-200,libnftables1,libldns3,libmount1,libcap2,libsodium23

echo "make-machine.sh: a bootable Debian 12 (a minute or two, once)"
mmdebstrap --quiet --variant=minbase --include="$packages" \
    bookworm "$work/root" 2>"$work/log" || { tail -n 20 "$work/log" >&2; exit 1; }

cat >"$work/root/etc/systemd/system/second-disk.service" <<'UNIT'
[Unit]
Description=What the second disk says
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'mkdir -p /mnt/second && mount /dev/vdb /mnt/second && /mnt/second/run; echo "second disk: exit $?"; systemctl poweroff'
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p "$work/root/etc/systemd/system/multi-user.target.wants"
ln -s ../second-disk.service "$work/root/etc/systemd/system/multi-user.target.wants/"
echo machine >"$work/root/etc/hostname"
printf '127.0.0.1 localhost machine\n' >"$work/root/etc/hosts"
ln -sf /dev/null "$work/root/etc/systemd/system/serial-getty@ttyS0.service"

mkdir "$work/made"
cp "$work"/root/boot/vmlinuz-* "$work/made/kernel"
cp "$work"/root/boot/initrd.img-* "$work/made/initrd"
mke2fs -q -t ext4 -d "$work/root" "$work/made/disk.img" 3G
echo "$stamp" >"$work/made/stamp"
rm -rf "$folder"
mv "$work/made" "$folder"
