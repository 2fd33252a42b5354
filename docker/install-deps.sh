#!/usr/bin/env bash
# Installs what building, testing and running composed on Debian 12 needs. Does nothing when all of it is there.
set -euo pipefail

build=(
    g++ cmake ninja-build ccache mold pkg-config git make
    libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
    libyaml-cpp-dev libspdlog-dev libfmt-dev libsqlite3-dev libssl-dev libarchive-dev libisal-dev
    libzstd-dev zlib1g-dev libnl-3-dev libnl-route-3-dev libnl-nf-3-dev libnftables-dev libldns-dev libcli11-dev
    libsodium-dev
    libgtest-dev libgmock-dev libbenchmark-dev libcap-dev libmount-dev
)
# crun and runc run the containers, nftables and iproute2 serve the person who looks, the seccomp profile comes
# with golang-github-containers-common.
run=(crun runc nftables iproute2 golang-github-containers-common ca-certificates)
# What the tests and the examples make their images of, and the peers they are compared with.
test=(busybox-static docker-registry skopeo buildah mmdebstrap debootstrap qemu-system-x86 e2fsprogs openssl curl python3 clang-format clang-tidy clang libclang-rt-14-dev procps jq python3-yaml python3-jsonschema)

missing=()
for package in "${build[@]}" "${run[@]}" "${test[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends "${missing[@]}"
