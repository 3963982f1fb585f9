#!/usr/bin/env bash
# Two ranks in two network namespaces over a link that is held to a rate: two machines' network on one. Compares losses with one process. Needs root, iproute2, Open MPI.
# usage: scripts/two-namespaces.sh [RATE] (as tc writes it, 1gbit) [PATH OF trainer]
set -euo pipefail
cd "$(dirname "$0")/.."
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
words=(train --model tiny --data demo --max-steps 20 --gradient-accumulation-steps 2 --threads 1 --report-to none --logging-steps 1 --save-steps 0 --quiet)
"$trainer" "${words[@]}" --output-dir "$work/one"
began=$(date +%s.%N)
ip netns exec "$a" unshare --uts bash -c 'hostname node-a; exec "$@"' start timeout 180 mpirun.openmpi --allow-run-as-root -np 2 -H 10.213.0.1:1,10.213.0.2:1 --bind-to none \
    --mca plm_rsh_agent "$work/agent" --mca oob_tcp_if_include 10.213.0.0/24 --mca btl tcp,self --mca btl_tcp_if_include 10.213.0.0/24 -x OMP_WAIT_POLICY \
    "$trainer" "${words[@]}" --output-dir "$work/two"
echo "two ranks over $rate: $(awk "BEGIN { print $(date +%s.%N) - $began }") s; bytes sent by a: $(ip netns exec "$a" cat /sys/class/net/va/statistics/tx_bytes)"
paste <(grep -o '"loss":[0-9.e-]*' "$work/one/metrics.jsonl" | cut -d: -f2) <(grep -o '"loss":[0-9.e-]*' "$work/two/metrics.jsonl" | cut -d: -f2) |
    awk 'BEGIN { most = 0 } { d = $1 - $2; if (d < 0) d = -d; if (d > most) most = d } END { print "steps " NR ", largest difference of a loss to one process: " most; exit !(NR == 20 && most <= 1e-5) }'
