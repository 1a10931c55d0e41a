"""The speed of inference, and the machine's peak."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from benchmarks import inference, peak, processes, training_worker
from benchmarks.cases import Dataset
from fairdistill.training.engines import ways


def test_ours_is_compared_with_the_fastest_plain_pass(monkeypatch):
    monkeypatch.setattr(training_worker, "BATCH_SIZE", 16)
    monkeypatch.setitem(training_worker.DATASETS, "tiny", Dataset(32, 3, 2, 1000, 100))
    monkeypatch.setattr(inference, "BATCHES", (2, 4, 8))
    speeds = {True: {2: 3.0, 4: 1.0, 8: 2.0}, False: {2: 4.0, 4: 5.0, 8: 2.0}}
    bf16 = ways.has_bfloat16()

    def plain_ms(network, pixels, clock):
        return speeds[network.bf16_evaluation][len(pixels)]

    monkeypatch.setattr(inference, "plain_ms", plain_ms)

    found = inference.measure("tiny", "shufflenet_v2_x1_0")

    assert (found["plain_ms"], found["batch"]) == ((1.0, 4) if bf16 else (2.0, 8))
    assert found["plain_fp32_ms"] == 2.0
    assert found["precision"] == ("bf16" if bf16 else "fp32")
    assert found["test_ms"] > 0 < found["features_ms"]
    known = {"dataset": "tiny", "kind": "x", "test_ms": 3.0, "features_ms": 2.5, "plain_ms": 1.0}
    text = inference.to_markdown(pd.DataFrame([found | known]), "a machine")
    (row,) = (line for line in text.splitlines() if line.startswith("| tiny"))
    cells = row.strip("|").split("|")
    assert [cell.strip() for cell in cells[-3:]] == ["3.00", "1.50", "2.50"]
    assert "| test / plain | test / plain in fp32 | features / plain |" in text


def test_the_peak_is_that_of_the_fastest_shape(monkeypatch):
    counted = []

    def gflops(operation, operations, clock):
        found = operation()
        counted.append((tuple(found.shape), operations))
        return float(len(counted))

    monkeypatch.setattr(peak, "gflops", gflops)
    monkeypatch.setattr(peak, "PRODUCTS", [(2, 3, 4)])
    monkeypatch.setattr(peak, "CONVOLUTIONS", [(1, 2, 3, 3, 5)])

    assert peak.peak("fp32", torch.device("cpu")) == 2.0
    # 24 products with as many sums; each of 3 x 3 pixels of 3 channels from 2 x 3 x 3 numbers
    assert counted == [((2, 4), 48), ((1, 3, 3, 3), 2 * 3 * 9 * 18)]


def test_a_speed_is_of_the_fastest_repeat_after_the_first(monkeypatch):
    moments = iter([0.0, 9.0, 10.0, 14.0, 20.0, 22.0, 30.0, 33.0, 40.0, 45.0])
    clock = training_worker.Clock(torch.device("cpu"))
    monkeypatch.setattr(training_worker.time, "perf_counter", lambda: next(moments))
    assert peak.gflops(lambda: None, 4e9, clock) == pytest.approx(2.0)


def test_the_peak_of_processes_at_once_is_their_sum(monkeypatch):
    started = []

    def start(command, **options):
        started.append((command[-1], options["env"]["OMP_NUM_THREADS"]))
        return SimpleNamespace(communicate=lambda: (f'{{"fp32": {len(started)}, "bf16": 2}}', None), returncode=0)

    monkeypatch.setattr(processes.subprocess, "Popen", start)
    assert peak.measure(2, 3)["bf16"] == 4
    assert started == [("3", "3"), ("3", "3")]
