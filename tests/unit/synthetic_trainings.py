"""What `benchmarks.training` would have measured, in round numbers."""

import pandas as pd

from benchmarks.cases import DATASETS, ENGINES, KINDS, METHODS, PARTS
from benchmarks.training_table import summarise


def result(step_ms, *, feature_ms_per_image=0.0, memory_mb=1000.0, mfd_loss_ms=None, device="cpu"):
    """What a worker prints: of a step each part but backward takes a tenth, backward half."""
    share = dict.fromkeys(PARTS, 0.1) | {"backward": 0.5}
    return {
        "step_ms": step_ms,
        "parts_ms": {part: step_ms * share[part] for part in PARTS},
        "feature_ms_per_image": feature_ms_per_image,
        "gflop_per_step": 20.0,
        "precision": "fp32",
        "device": device,
        "memory_mb": memory_mb,
        "gpu_memory_mb": 500.0 if device == "cuda" else None,
        "mfd_loss_ms": mfd_loss_ms,
    }


def runs(*, device="cpu", rounds=2):
    """All cases: the reference trains 128 images in 1 s and distils them in 1.5 s, ours in a quarter of a second."""
    rows = []
    for dataset in DATASETS:
        for kind in KINDS:
            for role in METHODS:
                for engine in ENGINES:
                    student, fast = role == "student", engine == "fast"
                    step_ms = 500.0 if fast else 1500.0 if student else 1000.0
                    measured = result(
                        step_ms,
                        feature_ms_per_image=2.0 if fast and student else 0.0,
                        mfd_loss_ms=0.02 * step_ms if student else None,
                        device=device,
                    )
                    case = {"dataset": dataset, "kind": kind, "role": role, "engine": engine}
                    found = summarise([measured] * (2 if fast and device == "cpu" else 1), dataset, {"fp32": 100.0})
                    rows += [case | {"round": number} | found for number in range(rounds)]
    return pd.DataFrame(rows)
