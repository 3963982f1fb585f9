#!/usr/bin/env bash
# PEFT's training steps and trainer's on the same random model, in turns on this machine, as tokens a second and their ratio.
# Needs python3 with torch, transformers and peft; trainer itself needs none of them.
# usage: scripts/peft-beside.sh [134m|1b] [BATCH] [SEQ] [ROUNDS]        (default: 134m 4 256 3)
set -euo pipefail
cd "${BASH_SOURCE%/*}/.."
shape="${1:-134m}" batch="${2:-4}" seq="${3:-256}" rounds="${4:-3}"

# hidden, layers, heads, key heads, wide, vocabulary, tied: as `trainer bench --shape` has them.
case "$shape" in
    134m) sizes="768 12 12 12 2048 32000 0" ;;
    1b) sizes="2048 16 32 8 8192 128256 1" ;;
    *) echo "error: unknown shape ('$shape'): it is neither 134m nor 1b; name one of these" >&2; exit 2 ;;
esac
if ! command -v python3 > /dev/null; then
    echo "error: no comparison (python3): it is not in the path; install Python with torch, transformers and peft, or measure trainer alone by 'trainer bench'" >&2
    exit 69
fi
if ! missing=$(python3 -c 'import torch, transformers, peft' 2>&1); then
    echo "error: no comparison ($(command -v python3)): ${missing##*$'\n'}; pip install torch transformers peft, or measure trainer alone by 'trainer bench'" >&2
    exit 69
fi

dotnet build src/Trainer.Cli -c Release -v q --nologo > /dev/null
program=$(find src/Trainer.Cli/bin/Release -name trainer.dll -path '*net*' | head -1)

peft_round() {
    python3 - $sizes "$batch" "$seq" <<'PYTHON'
import sys, time, torch
from transformers import LlamaConfig, LlamaForCausalLM
from peft import LoraConfig, get_peft_model
hidden, layers, heads, key_heads, wide, vocabulary, tied, batch, seq = map(int, sys.argv[1:])
torch.manual_seed(0)
config = LlamaConfig(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=key_heads, intermediate_size=wide,
                     vocab_size=vocabulary, tie_word_embeddings=bool(tied), use_cache=False)
model = get_peft_model(LlamaForCausalLM(config).float(), LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
ids = torch.randint(vocabulary, (batch, seq))
best = float("inf")
for step in range(5):
    begun = time.perf_counter()
    optimizer.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step > 0:
        best = min(best, time.perf_counter() - begun)
print(batch * seq / best)
PYTHON
}

trainer_round() {
    dotnet "$program" bench --shape "$shape" --batch-size "$batch" --seq "$seq" --gradient-checkpointing none --steps 4 --json \
        | python3 -c 'import json, sys; print(json.load(sys.stdin)["tokens_per_second"])'
}

echo "shape $shape, batch $batch x $seq, rank 16, float32; best of four steps a round, tokens/s"
python3 -c 'import torch, transformers, peft; print("torch", torch.__version__, " transformers", transformers.__version__, " peft", peft.__version__)'
ours=() theirs=()
for ((round = 1; round <= rounds; round++)); do
    theirs+=("$(peft_round)")
    ours+=("$(trainer_round)")
    printf 'round %d  PEFT %.1f  trainer %.1f\n' "$round" "${theirs[-1]}" "${ours[-1]}"
done
python3 - "${ours[*]}" "${theirs[*]}" <<'PYTHON'
import sys
ours, theirs = ([float(value) for value in text.split()] for text in sys.argv[1:])
mean = sum(ours) / len(ours)
print(f"trainer / PEFT: {mean / (sum(theirs) / len(theirs)):.2f} of the means, {mean / max(theirs):.2f} of PEFT's best")
PYTHON
