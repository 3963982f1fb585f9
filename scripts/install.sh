#!/usr/bin/env bash
# Publishes trainer with its runtime into a folder of its own and links it into the user's path.
#   scripts/install.sh [PREFIX]          default ~/.local: PREFIX/lib/trainer and PREFIX/bin/trainer
# Needs the .NET SDK of global.json to build; what it installs needs none.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=${1:-$HOME/.local}
target=$prefix/lib/trainer

command -v dotnet > /dev/null || { echo "error: no 'dotnet' in PATH; install the .NET SDK that global.json names" >&2; exit 69; }
mkdir -p "$prefix/lib" "$prefix/bin"
fresh=$(mktemp -d "$prefix/lib/.trainer-XXXXXX")
trap 'rm -rf "$fresh"' EXIT

case "$(uname -sm)" in
    "Linux x86_64") runtime=linux-x64 ;;
    "Darwin arm64") runtime=osx-arm64 ;;
    *) echo "error: there is no libtorch for $(uname -sm); Linux on x86_64, macOS on arm64 and Windows (scripts/install.ps1) have one" >&2; exit 69 ;;
esac
scripts/publish.sh "$runtime" "$fresh"
"$fresh/trainer" doctor

rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$fresh" "$target"
chmod 755 "$target"
rm -rf "$target.old"
ln -sfn "$target/trainer" "$prefix/bin/trainer"
echo "installed $("$prefix/bin/trainer" --version) as $prefix/bin/trainer"
case ":$PATH:" in *":$prefix/bin:"*) ;; *) echo "add it to your path: export PATH=\"$prefix/bin:\$PATH\"" ;; esac
