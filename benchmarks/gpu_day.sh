#!/usr/bin/env bash
# What is tried and measured whenever a machine with a GPU can be had: one argument for each part, done in their order.
#   bash benchmarks/gpu_day.sh machine tests probe
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

machine() { nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader; nproc; python -V; python -c 'import torch; print(torch.__version__)'; }

# the same bits again, resumed, recorded and not; the reference engine; a shared GPU
tests() { timed tests python -m pytest -q -n 8 -p no:cacheprovider -W default tests/unit/test_gpu.py; tail -n 3 "$OUT/tests.log"; }

# one training after the other, images per second of the fast engine
probe() {
    local dataset kind role
    for dataset in cifar10s utkface; do for kind in resnet18 shufflenet_v2_x1_0; do for role in teacher student; do
        echo "$dataset $kind $role"
        python -m benchmarks.training_worker --engine fast --dataset $dataset --kind $kind --role $role --steps 200
    done; done; done
}

# lets kernels of several processes run at the same time, and not in turn
mps() { nvidia-cuda-mps-control -d; }

SHARED='training={gpu_slots: 12}'
demo() { workflow demo --configfile config/demo.yaml --config training='{device: auto, gpu_slots: 8}'; }
folds() {  # the trainings alone
    workflow folds --configfile config/utkface_folds.yaml --config "$SHARED" -- \
        results/utkface_folds/models/utkface/{resnet,shufflenet}/{teacher,balanced,mfd,mfd_flat,mfd_long,mfd_flat_long,balanced_long}/seed0-fold{0,1,2,3}/predictions.parquet
}
prepare() { workflow prepare --config "$SHARED" --until prepare_dataset; }
grid() { workflow grid --config "$SHARED"; }

for part in "$@"; do $part; done
