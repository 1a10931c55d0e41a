"""The test that the engines' results agree."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.equivalence import METRICS, cells, compare, pair, read_config, to_markdown, trainings


def trained(shift, *, noise=0.02, precision="fp32"):
    """Two architectures x two roles x three seeds by both engines; the fast one's metrics are higher by `shift`."""
    rng = np.random.default_rng(0)
    rows = []
    for engine in ("reference", "fast"):
        for architecture in ("resnet", "shufflenet"):
            for role in ("teacher", "student"):
                for seed in range(3):
                    values = 0.5 + noise * rng.standard_normal(3) + (shift if engine == "fast" else 0)
                    row = {"architecture": architecture, "role": role, "seed": seed, "engine": engine}
                    row["precision"] = precision if engine == "fast" else "fp32"
                    rows.append(row | dict(zip(METRICS, values, strict=True)))
    return pd.DataFrame(rows)


def test_in_noise_no_difference_is_found():
    table = compare(pair(trained(0.0), "fp32"))
    assert not table["different"].any()
    assert (table["n"] == 12).all()
    assert table["seed_sd"].between(0.01, 0.03).all()


def test_a_shift_as_large_as_twice_the_noise_is_seen():
    table = compare(pair(trained(0.04), "fp32"))
    assert table["different"].all()
    assert table["difference"].between(0.02, 0.06).all()


def test_equal_results_do_not_differ():
    runs = trained(0.0)
    runs.loc[runs["engine"] == "fast", METRICS] = runs.loc[runs["engine"] == "reference", METRICS].to_numpy()
    table = compare(pair(runs, "fp32"))
    assert (table["p"] == 1).all()
    assert not table["different"].any()


def test_each_precision_is_compared_with_the_reference():
    bf16 = trained(0.2, precision="bf16")
    runs = pd.concat([trained(0.0), bf16[(bf16["engine"] == "fast") & (bf16["architecture"] == "resnet")]])
    assert len(pair(runs, "bf16")) == 6
    text = to_markdown(runs, "Measured on: a machine.")
    assert "Fast in fp32 against reference in fp32: no difference was found" in text
    assert "Fast in bf16 against reference in fp32: **a difference was found**" in text
    assert "none of the three p-values" in text
    assert "That is no proof that there is none" in text
    assert "of the 18 cells" in text
    assert "nan" not in text


def test_the_page_says_how_large_a_difference_the_intervals_leave_room_for():
    runs = trained(0.0)
    table = compare(pair(runs, "fp32")).set_index("metric")
    largest = max(-table.loc["deo_m", "low"], table.loc["deo_m", "high"])
    assert largest > abs(table.loc["deo_m", "difference"])
    assert f"{largest:.3f} in deo_m, averaged over" in to_markdown(runs, "Measured on: a machine.")


def test_a_single_cell_is_corrected_for_all_of_them_and_for_those_of_its_precision():
    bf16 = trained(0.0, precision="bf16")
    runs = pd.concat([trained(0.0), bf16[bf16["engine"] == "fast"]], ignore_index=True)
    odd = (runs["engine"] == "fast") & (runs["precision"] == "fp32") & (runs["architecture"] == "resnet")
    runs.loc[odd & (runs["role"] == "student"), "deo_m"] += 0.5
    table = cells(runs).sort_values("p", ignore_index=True)
    first = table.iloc[0]
    assert first[["precision", "architecture", "role", "metric"]].tolist() == ["fp32", "resnet", "student", "deo_m"]
    assert len(table) == 24
    assert (first["n"], first["difference"]) == (3, pytest.approx(0.5, abs=0.1))
    assert first["p_holm"] == pytest.approx(24 * first["p"])
    assert first["p_holm_of_precision"] == pytest.approx(12 * first["p"])


def test_one_seed_has_no_single_cells():
    runs = trained(0.0)
    text = to_markdown(runs[runs["seed"] == 0], "Measured on: a machine.")
    assert "Single cells" not in text
    assert "nan" not in text


@pytest.mark.parametrize("precisions", [["fp32"], ["fp32", "bf16"]])
def test_the_reference_trains_once_for_all_precisions(precisions):
    planned = trainings(precisions, range(3))
    assert len(planned) == len(set(planned)) == 2 * 3 * (1 + len(precisions))


def test_the_settings_are_the_demos():
    study = read_config()
    assert (study.training.epochs, study.training.flip) == (10, False)
    assert study.method("mfd").lambda_ == 3


@pytest.mark.parametrize("path", ["benchmarks/NOTES.md", "docs/reproduction.md", "docs/processors.md"])
def test_what_is_said_of_the_published_comparison_is_in_its_table(path):
    runs = pd.read_csv("results/bench/amd-epyc-zen-5/equivalence.csv")
    text = " ".join(Path(path).read_text(encoding="utf-8").split())
    table = compare(pair(runs, "bf16")).set_index("metric")
    deo_m = table.loc["deo_m"]
    assert not table["different"].any()
    assert re.search(rf"{deo_m['high']:.3f}( cannot be excluded| in DEO_M)", text)
    if path != "docs/processors.md":
        assert f"{deo_m['low']:.3f} to +{deo_m['high']:.3f}, p {deo_m['p_holm']:.2f} after Holm" in text
    if path == "benchmarks/NOTES.md":
        cell = cells(runs).sort_values("p").iloc[0]
        assert f"{cell['difference']:.3f} above the reference ({cell['low']:.3f} to {cell['high']:.3f};" in text
        assert f"p {cell['p']:.4f})" in text
        assert f"by Bonferroni or Holm p is {cell['p_holm']:.4f}, a hair above 0.05" in text
        assert f"for the 12 cells of fp32 alone it is {cell['p_holm_of_precision']:.3f}" in text
        assert cell["p_holm"] > 0.05
