#!/usr/bin/env bash
# Two ranks in two network namespaces over a link that is held to a rate: two machines' network on one. Compares losses with one process. Needs root, iproute2, Open MPI.
# usage: scripts/two-namespaces.sh [--cut] [RATE] (as tc writes it, 1gbit) [PATH OF trainer]
# --cut takes the link down in mid run: both ranks end by the deadline, a checkpoint is left, and the run goes on from it when the link is back.
set -euo pipefail
cd "$(dirname "$0")/.."
cut=""
if [ "${1:-}" = --cut ]; then cut=yes; shift; fi
rate="${1:-1gbit}" trainer="${2:-$PWD/src/Trainer.Cli/bin/Release/net10.0/linux-x64/trainer}"
[[ "$rate" =~ ^[0-9]+[kmg]bit$ ]] || { sed -n '3s/^# //p' "$0" >&2; exit 2; }
for need in ip tc unshare mpirun.openmpi; do command -v "$need" > /dev/null || { echo "$need is missing (apt-get install iproute2 util-linux openmpi-bin)" >&2; exit 69; }; done
[ "$(id -u)" = 0 ] || { echo "network namespaces need root" >&2; exit 69; }
[ -x "$trainer" ] || { echo "'$trainer' is missing: dotnet build src/Trainer.Cli -c Release, or name it" >&2; exit 69; }

# Names, addresses and the shaped link are inside namespaces of our own; nothing of the machine's network changes.
a="trainer-a-$$" b="trainer-b-$$" work=$(mktemp -d)
trap 'ip netns del "$a" 2> /dev/null || true; ip netns del "$b" 2> /dev/null || true; rm -rf "$work"' EXIT
ip netns add "$a"; ip netns add "$b"
ip link add va netns "$a" type veth peer name vb netns "$b"
ip -n "$a" addr add 10.213.0.1/24 dev va; ip -n "$b" addr add 10.213.0.2/24 dev vb
for end in "$a va" "$b vb"; do
    read -r space device <<< "$end"
    ip -n "$space" link set lo up; ip -n "$space" link set "$device" up
    ip netns exec "$space" tc qdisc add dev "$device" root tbf rate "$rate" burst 256kb latency 50ms
done

# What mpirun takes for ssh: it starts its daemon in the other namespace, which has a host name of its own.
cat > "$work/agent" <<AGENT
#!/usr/bin/env bash
shift
exec ip netns exec "$b" unshare --uts bash -c 'hostname node-b; eval "\$*"' agent "\$@"
AGENT
chmod +x "$work/agent"

export OMP_WAIT_POLICY=passive
steps=20 words=(train --model tiny --data demo --gradient-accumulation-steps 2 --threads 1 --report-to none --logging-steps 1 --quiet)
if [ -n "$cut" ]; then steps=150 words+=(--save-steps 2); else words+=(--save-steps 0); fi
words+=(--max-steps "$steps")

# Seconds that mpirun itself may take, then the words of the command.
two() {
    local limit="$1"
    shift
    ip netns exec "$a" unshare --uts bash -c 'hostname node-a; exec "$@"' start timeout --kill-after 5 "$limit" mpirun.openmpi --allow-run-as-root -np 2 -H 10.213.0.1:1,10.213.0.2:1 --bind-to none \
        --mca plm_rsh_agent "$work/agent" --mca oob_tcp_if_include 10.213.0.0/24 --mca btl tcp,self --mca btl_tcp_if_include 10.213.0.0/24 -x OMP_WAIT_POLICY -x TRAINER_COLLECTIVE_TIMEOUT \
        "$trainer" "${words[@]}" --output-dir "$work/two" "$@"
}

# The ranks of this run, by the folder in their command line; mpirun and its daemons have it too and are no trainer.
ranks() { for process in /proc/[0-9]*; do if [ "$(cat "$process/comm" 2> /dev/null)" = trainer ] && tr '\0' ' ' < "$process/cmdline" 2> /dev/null | grep -q -- "$work/two"; then echo "${process#/proc/}"; fi; done; }

same() {
    paste <(grep -o '"loss":[0-9.e-]*' "$work/one/metrics.jsonl" | cut -d: -f2) <(grep -o '"loss":[0-9.e-]*' "$work/two/metrics.jsonl" | cut -d: -f2) |
        awk -v steps="$steps" 'BEGIN { most = 0 } { d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d } END { print "steps " NR ", largest difference of a loss to one process: " most; exit !(NR == steps && most <= 1e-5) }'
}

"$trainer" "${words[@]}" --output-dir "$work/one"
began=$(date +%s.%N)
if [ -z "$cut" ]; then
    export TRAINER_COLLECTIVE_TIMEOUT=120
    two 180
    echo "two ranks over $rate: $(awk "BEGIN { print $(date +%s.%N) - $began }") s; bytes sent by a: $(ip netns exec "$a" cat /sys/class/net/va/statistics/tx_bytes)"
    same
    exit
fi

export TRAINER_COLLECTIVE_TIMEOUT=5
# mpirun itself may wait for a machine that it cannot reach: its own limit ends it.
two 90 > "$work/log" 2>&1 &
job=$!
until [ -d "$work/two/checkpoint-4" ]; do kill -0 "$job" 2> /dev/null || { cat "$work/log" >&2; echo "the run ended before the cut" >&2; exit 1; }; sleep 0.05; done
ip -n "$a" link set va down
began=$(date +%s.%N)
while [ -n "$(ranks)" ]; do
    awk "BEGIN { exit !($(date +%s.%N) - $began < 60) }" || { cat "$work/log" >&2; echo "a rank outlived the link by 60 s: $(ranks)" >&2; exit 1; }
    sleep 0.1
done
echo "link down: both ranks ended after $(awk "BEGIN { print $(date +%s.%N) - $began }") s (deadline $TRAINER_COLLECTIVE_TIMEOUT s)"
wait "$job" && { echo "the cut run ended as if nothing had been" >&2; exit 1; }
echo "mpirun ended after $(awk "BEGIN { print $(date +%s.%N) - $began }") s; what the ranks said:"
grep -h "^error: " "$work/log" | sort | uniq -c || true
for left in "$work"/two/rank-*.error; do if [ -e "$left" ]; then echo "$(basename "$left"): $(head -n 1 "$left" | cut -c 1-200)"; fi; done
echo "newest checkpoint: $(ls -d "$work"/two/checkpoint-* | sed 's/.*-//' | sort -n | tail -n 1) of $steps steps"
ip -n "$a" link set va up
export TRAINER_COLLECTIVE_TIMEOUT=120
two 180 --resume
same
