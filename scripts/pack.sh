#!/usr/bin/env bash
# Makes NuGet packages: the libraries, and the program as a `dotnet tool` for each platform.
#   scripts/pack.sh FOLDER [RUNTIME...]     RUNTIME: linux-x64, osx-arm64 or win-x64; without any, all of them
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n 2,3p "$0" >&2; exit 2; }
folder=$(realpath -m "$1")
shift
runtimes=("$@")
[ ${#runtimes[@]} -gt 0 ] || runtimes=(linux-x64 osx-arm64 win-x64)
for project in src/*/*.csproj; do
  [ "$project" = src/Trainer.Cli/Trainer.Cli.csproj ] || dotnet pack "$project" -c Release -p:Packing=true -o "$folder" -v q --nologo
done
for runtime in "${runtimes[@]}"; do
  dotnet pack src/Trainer.Cli -c Release -p:Packing=true -r "$runtime" -o "$folder" -v q --nologo
done
# The package that people name; it points to those of the platforms.
all=$(IFS=';'; echo "${runtimes[*]}")
dotnet pack src/Trainer.Cli -c Release -p:Packing=true -p:RuntimeIdentifier= -p:CreateRidSpecificToolPackages=false "-p:ToolPackageRuntimeIdentifiers=${all//;/%3B}" -o "$folder" -v q --nologo
