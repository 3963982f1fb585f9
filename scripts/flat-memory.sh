#!/usr/bin/env bash
# Live tensors and resident memory over a long run with evaluation, saving and logging on.
# usage: scripts/flat-memory.sh [STEPS]
set -euo pipefail
cd "$(dirname "$0")/.."
export TRAINER_FLAT_STEPS="${1:-2000}"
dotnet test tests/Trainer.Engine.Tests -c Release --nologo --filter "FullyQualifiedName~Live_tensors_and_memory_are_flat"
