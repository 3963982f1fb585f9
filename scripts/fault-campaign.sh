#!/usr/bin/env bash
# The long form of the fault campaign: kill -9 at random instants of a short run, each resumed and compared with a run nobody killed.
# usage: scripts/fault-campaign.sh [KILLS] [SEED]
set -euo pipefail
cd "$(dirname "$0")/.."
[[ "${1:-200} ${2:-0}" =~ ^[0-9]+\ [0-9]+$ ]] || { sed -n '3s/^# //p' "$0" >&2; exit 2; }
export TRAINER_FAULT_KILLS="${1:-200}" TRAINER_FAULT_SEED="${2:-$RANDOM}"
echo "kills $TRAINER_FAULT_KILLS, seed $TRAINER_FAULT_SEED"
dotnet test tests/Trainer.Smoke.Tests -c Release --nologo --filter "FullyQualifiedName~Faults&FullyQualifiedName!~killed_a_few_times" --logger "console;verbosity=detailed"
