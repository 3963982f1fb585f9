#!/usr/bin/env bash
# Four machines, one rank each, all cores of each: sbatch configs/distributed/slurm.sh
#SBATCH --job-name=lora
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=64
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
set -euo pipefail

# --mpi=pmix for Open MPI, --mpi=pmi2 for MPICH. The micro-batches of a step are dealt out: --gradient-accumulation-steps is a multiple of the ranks.
# A requeued job goes on from the newest checkpoint; rank 0 alone needs to see the run folder, all ranks the model and the data.
srun --mpi=pmix --cpu-bind=none trainer train --model meta-llama/Llama-3.1-8B --data chats.jsonl \
    --gradient-accumulation-steps 16 --dtype bfloat16 --output-dir runs/slurm --resume
