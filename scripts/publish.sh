#!/usr/bin/env bash
# Publishes trainer with its own runtime into a folder that can be moved to a machine without .NET.
#   scripts/publish.sh RUNTIME FOLDER       RUNTIME: linux-x64, osx-arm64 or win-x64; any of them on any machine
# For win-arm64 the runtime does not go along: that machine needs .NET (with ASP.NET Core), and trainer.cmd starts the program with it.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 2 ] || { sed -n 2,4p "$0" >&2; exit 2; }
whole=true
[ "$1" != win-arm64 ] || whole=false
# The lock files of the build do not name the runtime that goes along.
dotnet publish src/Trainer.Cli -c Release -r "$1" --self-contained $whole -p:SelfContained=$whole -p:NuGetLockFilePath=obj/publish.lock.json -o "$2" -v q --nologo
