#!/usr/bin/env bash
# The long form of the fault campaign: kill -9 at random instants of a short run, each resumed and compared with a run nobody killed; and files damaged at random.
# usage: scripts/fault-campaign.sh [KILLS] [SEED] [FILES] [RANKS]
set -euo pipefail
cd "$(dirname "$0")/.."
[[ "${1:-200} ${2:-0} ${3:-0} ${4:-0}" =~ ^[0-9]+\ [0-9]+\ [0-9]+\ [0-9]+$ ]] || { sed -n '3s/^# //p' "$0" >&2; exit 2; }
export TRAINER_FAULT_KILLS="${1:-200}" TRAINER_FAULT_RANKS="${4:-60}" TRAINER_FAULT_SEED="${2:-$RANDOM}" TRAINER_FAULT_FILES="${3:-1000}"
echo "kills $TRAINER_FAULT_KILLS, files $TRAINER_FAULT_FILES, kills and stops of ranks $TRAINER_FAULT_RANKS, seed $TRAINER_FAULT_SEED"
dotnet test tests/Trainer.Smoke.Tests -c Release --nologo --filter "FullyQualifiedName~Faults&FullyQualifiedName!~killed_a_few_times" --logger "console;verbosity=detailed"
