#!/usr/bin/env bash
# Several processes read one streamed base that memory does not hold: past the page cache, each for itself, and through it, once for all. Wants root (a memory control group, cold caches).
# usage: scripts/shared-reads.sh [SHAPE] [LAYERS] [LIMIT_MIB_EACH] [SEQUENCE] [PROCESSES...]
set -euo pipefail
cd "$(dirname "$0")/.."
shape="${1:-8b}" layers="${2:-16}" limit="${3:-1000}" sequence="${4:-16}"
shift $(( $# < 4 ? $# : 4 ))
[[ "$layers $limit $sequence $*" =~ ^[0-9\ ]+$ ]] || { sed -n '3s/^# //p' "$0" >&2; exit 2; }
counts=("${@:-}"); [[ -n "${counts[0]}" ]] || counts=(1 2 3 4)
group=/sys/fs/cgroup/memory file=memory.limit_in_bytes
[[ -d "$group" ]] || { group=/sys/fs/cgroup; file=memory.max; }
group="$group/trainer-reads-$$"
work="$(mktemp -d)"
trap 'rm -rf "$work"; rmdir "$group" 2>/dev/null || true' EXIT
mkdir "$group"
dotnet build tests/Trainer.Benchmarks -c Release -v q --nologo >&2
bench="$(ls -d tests/Trainer.Benchmarks/bin/Release/net10.0/*/Trainer.Benchmarks.dll)"
step() { dotnet "$bench" step --shape "$shape" --layers "$layers" --folder "$work/base" --keep --stream --seq "$sequence" --threads 1 --steps 2 "$@"; }
export OMP_WAIT_POLICY=passive
step --reads direct > "$work/first" 2>&1 || { cat "$work/first" >&2; exit 1; }
grep -h "of weights" "$work/first"
for count in "${counts[@]}"; do
    echo $(( count * limit << 20 )) > "$group/$file"
    for way in direct mapped; do
        sync; echo 3 > /proc/sys/vm/drop_caches
        pids=()
        for (( i = 0; i < count; i++ )); do
            ( echo "$BASHPID" > "$group/cgroup.procs"; step --reads "$way" > "$work/$way-$i" 2> "$work/$way-$i.err" ) & pids+=($!)
        done
        for pid in "${pids[@]}"; do wait "$pid" || { cat "$work"/*.err >&2; exit 1; }; done
        echo "$count processes, $way: $(grep -hoP '^step \K.*(?=  tokens)' "$work/$way"-*[0-9] | tr '\n' ';')"
        rm -f "$work/$way"-*
    done
done
