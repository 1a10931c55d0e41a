"""What a job costs beside its training."""

import json

import pytest

from benchmarks import jobs


def test_what_the_trainings_took_for_themselves_is_no_overhead(tmp_path, monkeypatch):
    def snakemake(folder, *options):
        if "--dry-run" in options:
            return 2.0, ""
        (folder / "logs" / "train_model").mkdir(parents=True)
        (folder / "logs" / "train_model" / "a.tsv").write_text("s\th:m:s\n7.0\t0:00:07\n")
        (folder / "training.json").write_text(json.dumps({"seconds": 4.0}))
        return 26.0, "Job stats:\njob  count\n---\nall  1\ntotal    6\n"

    monkeypatch.setattr(jobs, "snakemake", snakemake)
    row = jobs.tiny_study(tmp_path)
    assert row["jobs"] == 5
    assert row["planning_seconds"] == 2
    assert row["job_overhead_seconds"] == pytest.approx((26 - 2 - 4) / 5)
    assert row["training_overhead_seconds"] == pytest.approx(3)


def test_a_grid_that_was_not_run_is_said_to_be_unmeasured():
    row = {"jobs": 10, "planning_seconds": 3.0, "job_overhead_seconds": 4.0, "training_overhead_seconds": 5.0}
    row |= {"demo_minutes": 2.0}
    assert "unmeasured" in jobs.to_markdown({**row, "grid_minutes": None}, "a machine")
    assert "| the demo, without making the environment " in jobs.to_markdown({**row, "grid_minutes": None}, "a machine")
    assert "330" in jobs.to_markdown({**row, "grid_minutes": 5.5}, "a machine")
