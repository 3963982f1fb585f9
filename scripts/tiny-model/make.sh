#!/usr/bin/env bash
# Makes the embedded model and the demo data again: configs/tiny-model and configs/demo. Takes some minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
model=../../configs/tiny-model demo=../../configs/demo
dotnet run -c Release text.cs "$out" "$demo"
dotnet run -c Release tokenizer.cs "$out" "$model"
dotnet run -c Release pretrain.cs "$out" "$model" "${1:-8}"
ls -l "$model" "$demo"
