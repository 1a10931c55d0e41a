#!/usr/bin/env bash
# What is tried and measured whenever a machine with a GPU can be had: one argument for each part, done in their order.
#   bash benchmarks/gpu_day.sh machine tests steps many
# It takes the `python` of the PATH, the archives in FAIRDISTILL_MIRROR, and writes to OUT (default: results/gpu_day).
set -uo pipefail
export OUT=${OUT:-results/gpu_day} OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
mkdir -p "$OUT"

timed() {  # NAME COMMAND...: its output to OUT/NAME.log, its seconds to the screen
    local name=$1 start=$SECONDS code; shift
    "$@" > "$OUT/$name.log" 2>&1; code=$?
    echo "$name: exit $code, $((SECONDS - start)) s"
    [ $code = 0 ] || tail -n 15 "$OUT/$name.log"
}

workflow() {  # NAME OPTIONS...: the whole workflow
    local name=$1; shift
    timed "$name" python -m snakemake --cores all --nolock --scheduler greedy "$@"
}

machine() { nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader; getconf _NPROCESSORS_ONLN; python -V; python -c 'import torch; print(torch.__version__)'; }

# the same bits again, resumed, recorded and not; the reference engine; a shared GPU
tests() { timed tests python -m pytest -q -n 8 -p no:cacheprovider -W default tests/unit/test_gpu.py; tail -n 3 "$OUT/tests.log"; }

# milliseconds of a step, one kernel after another and recorded, in each precision and layout; the kernels
steps() { timed steps python -m benchmarks.gpu_steps --profile --output "$OUT/steps.md"; }

# lets kernels of several processes run at the same time, and not in turn; the processes that are started from here on
# find it. It is never told to quit: on the H100 of the first day, trainings that were started after that hung.
mps() { nvidia-cuda-mps-control -d; }

together() {  # N OPTIONS...: as many trainings at once, images per second of each and their sum
    local n=$1 i; shift
    for ((i = 0; i < n; i++)); do
        python -m benchmarks.training_worker --engine fast --steps 1500 "$@" 2>> "$OUT/many.log" &
    done | python -c '
import json, sys
from benchmarks.cases import BATCH_SIZE
speeds = [1e3 * BATCH_SIZE / json.loads(line)["step_ms"] for line in sys.stdin]
print(len(speeds), "at once:", *(f"{speed:.0f}" for speed in speeds), f"images/s, {sum(speeds):.0f} together")'
}

# trainings that share a GPU, without MPS and with it; run it before `mps`. Each says how fast it was over its own timed
# steps, so where some begin later than others the sum is somewhat too large.
many() {
    local n resnet='--dataset cifar10s --kind resnet18 --role teacher'
    local shufflenet='--dataset utkface --kind shufflenet_v2_x1_0 --role student'
    many_of() { for n in 1 4 8; do together $n $resnet; together $n $shufflenet; done; }
    echo 'without MPS'; many_of
    mps; sleep 1
    echo 'with MPS'; many_of
}

SHARED='training={gpu_slots: 12}'
demo() { workflow demo --configfile config/demo.yaml --config training='{device: auto, gpu_slots: 8}'; }
folds() {  # the trainings alone
    workflow folds --configfile config/utkface_folds.yaml --config "$SHARED" -- \
        results/utkface_folds/models/utkface/{resnet,shufflenet}/{teacher,balanced,mfd,mfd_flat,mfd_long,mfd_flat_long,balanced_long}/seed0-fold{0,1,2,3}/predictions.parquet
}
prepare() { workflow prepare --config "$SHARED" --until prepare_dataset; }
grid() { workflow grid --config "$SHARED"; }

for part in "$@"; do $part; done
