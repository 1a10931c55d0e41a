"""The memory of whole trainings."""

import json

import pandas as pd
import pytest

from benchmarks import memory
from benchmarks.cases import Dataset


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(memory.DATASETS, "tiny", Dataset(32, 3, 2, 120, 24))


def test_a_training_is_evaluated_saves_its_state_and_tells_its_memory(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "KIND", "shufflenet_v2_x1_0")
    memory.prepare(tmp_path, memory.DATASETS["tiny"])
    assert memory.begin(tmp_path).wait() == 0
    record = json.loads((tmp_path / "model" / "training.json").read_text())
    assert record["run"]["role"] == "student"
    assert record["parameters"]["method"]["kind"] == "mfd"
    assert record["device"] == "cpu"
    # more than nothing and less than a byte taken for a kilobyte
    assert 100 < record["peak_memory_mb"] < 10_000
    history = pd.read_csv(tmp_path / "model" / "history.csv")
    # the state is saved after the first of the two
    assert history["test_accuracy"].notna().tolist() == [True, True]


def test_the_table_is_made_of_the_records(tiny, monkeypatch):
    class Trained:
        def __init__(self, folder, status):
            self.status = status
            (folder / "model").mkdir()
            record = {"precision": "bf16", "peak_memory_mb": 1234, "device": "cpu"}
            (folder / "model" / "training.json").write_text(json.dumps(record))

        def wait(self):
            return self.status

    monkeypatch.setattr(memory, "begin", lambda folder: Trained(folder, 0))
    table = memory.measure(["tiny"])
    assert table.to_dict("records") == [
        {"dataset": "tiny", "kind": "resnet18", "precision": "bf16", "memory_mb": 1234},
    ]
    text = memory.to_markdown(table, "a machine")
    assert "| tiny     | resnet18     | bf16      | 1234 " in text
    assert "of 2 epochs" in text
    monkeypatch.setattr(memory, "begin", lambda folder: Trained(folder, 1))
    with pytest.raises(SystemExit, match="a training failed"):
        memory.measure(["tiny"])
