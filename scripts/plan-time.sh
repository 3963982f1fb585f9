#!/usr/bin/env bash
# Planned seconds beside real ones for five small runs. A busy machine says nothing: run it where nothing else runs.
# Usage: scripts/plan-time.sh [TRAINER]   (the program; by default the one on the PATH)
set -euo pipefail
trainer=${1:-trainer}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export TRAINER_CACHE="$folder/cache"

# Twice by turns: the first of each finds cold files.
pair() {
  local name=$1 planned real begin run
  shift
  for run in 1 2; do
    planned=$("$trainer" plan "$@" --output-dir "$name-$run" --json 2>/dev/null | sed -n 's/^  "seconds": \([0-9.eE+-]*\).*/\1/p')
    begin=$EPOCHREALTIME
    "$trainer" train "$@" --output-dir "$name-$run" >/dev/null 2>&1
    real=$(awk -v from="$begin" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }')
    awk -v name="$name" -v run="$run" -v planned="$planned" -v real="$real" \
      'BEGIN { printf "%-24s run %d  planned %7.2f s  real %7.2f s  planned/real %.2f %s\n", name, run, planned, real, planned / real,
        (planned / real < 0.7 || planned / real > 1.3 ? "OUTSIDE 30 %" : "") }'
  done
}

demo=(--model tiny --data demo)
pair readme "${demo[@]}" --max-steps 200
pair few-steps "${demo[@]}" --max-steps 10
pair often-saved "${demo[@]}" --max-steps 400 --eval-steps 50 --save-steps 50
pair packed "${demo[@]}" --max-steps 60 --batch-size 4 --max-seq-length 256 --packing true
pair wide-adapter "${demo[@]}" --max-steps 150 --quantize none --target-modules all-linear --lora-rank 64 --gradient-accumulation-steps 4
