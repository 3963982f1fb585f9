#!/usr/bin/env bash
# Proves the ground floor (numbers, tokenizers, templates, checkpoints) on arm64 without such a machine: publishes its tests for linux-arm64 and runs them under qemu's user emulation.
#   scripts/arm64.sh [PART OF A TEST'S NAME ...]
# As root on Debian or Ubuntu it installs what is missing; elsewhere it says what that is and exits with 69. Ends with "N passed, N failed, N skipped".
set -euo pipefail
cd "$(dirname "$0")/.."
sysroot=/usr/aarch64-linux-gnu
emulator=$(command -v qemu-aarch64 || true)

if [ -z "$emulator" ] || [ ! -e $sysroot/lib/libstdc++.so.6 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "error: qemu-aarch64 or the C++ runtime of arm64 is missing; install qemu-user, libc6-arm64-cross and libstdc++6-arm64-cross" >&2
        exit 69
    fi
    { apt-get update -q && apt-get install -y -q --no-install-recommends qemu-user libc6-arm64-cross libstdc++6-arm64-cross; } > /dev/null
    emulator=$(command -v qemu-aarch64)
fi

# .NET hashes with OpenSSL, which no cross package holds: the library is taken out of arm64's own package and lies beside the published tests.
openssl=$PWD/tests/Trainer.Ground.Tests/obj/openssl-arm64
if [ -z "$(find "$openssl" -name 'libcrypto.so.3' 2> /dev/null)" ]; then
    [ "$(id -u)" = 0 ] || { echo "error: libssl of arm64 is missing from '$openssl'; run this script once as root" >&2; exit 69; }
    mkdir -p "$openssl"
    dpkg --add-architecture arm64
    trap 'dpkg --remove-architecture arm64' EXIT
    apt-get update -q > /dev/null
    (cd "$openssl" && { apt-get download -q libssl3:arm64 || apt-get download -q libssl3t64:arm64; } > /dev/null 2>&1 && dpkg -x libssl3*.deb .)
    trap - EXIT
    dpkg --remove-architecture arm64
fi

# The tests look for the repository above them. A self-contained publish restores the runtime of arm64, which the lock files do not name.
published=tests/Trainer.Ground.Tests/obj/arm64
dotnet publish tests/Trainer.Ground.Tests -c Release -r linux-arm64 --self-contained true -p:UseAppHost=true -p:NuGetLockFilePath=obj/arm64.lock.json -o $published -v q --nologo

# Under qemu's user emulation the runtime may not map one page twice, once to write and once to execute.
export DOTNET_EnableWriteXorExecute=0 QEMU_LD_PREFIX=$sysroot
exec "$emulator" -E LD_LIBRARY_PATH="$(dirname "$(find "$openssl" -name 'libcrypto.so.3' | head -n 1)")" $published/Trainer.Ground.Tests "$@"
