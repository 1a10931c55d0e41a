"""The pages are made, and the notebook runs, from the metrics alone: nothing imports torch."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_results import make_study

from fairdistill.reporting import figure_files, tables
from fairdistill.reporting.models import read_files
from fairdistill.reporting.paper import diagram as architecture_diagram
from fairdistill.reporting.runs import write_csv
from fairdistill.reporting.summaries import summarise

ROOT = Path(__file__).parents[2]
MODULES = [
    "fairdistill",
    *(
        f"fairdistill.evaluation.{name}"
        for name in (
            "criteria",
            "correctness",
            "crossed",
            "fairness_report",
            "metrics",
            "records",
            "seeds",
            "uncertainty",
        )
    ),
    *(f"fairdistill.reporting.{name}" for name in ("ablations", "figures", "models", "published", "tables")),
    *(f"fairdistill.reporting.paper.{name}" for name in ("comparison", "conclusions", "diagram")),
    *(f"scripts.{name}" for name in ("evaluate_model", "aggregate_results", "make_table", "make_ablations")),
    *(f"scripts.{name}" for name in ("compare_with_paper", "compare_with_published", "verify_results")),
    *(f"scripts.{name}" for name in ("fairness_report", "plot_architecture", "plot_comparison")),
]


@pytest.fixture
def torch_is_blocked(tmp_path, monkeypatch):
    """Let every Python that is started find a torch that cannot be imported."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "torch.py").write_text("raise ImportError('torch is blocked')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'blocked'}{os.pathsep}{ROOT}")


@pytest.mark.usefixtures("torch_is_blocked")
def test_what_comes_after_the_predictions_imports_no_torch():
    imports = "\n".join(f"import {module}" for module in MODULES)

    subprocess.run([sys.executable, "-c", imports], check=True)


@pytest.mark.usefixtures("torch_is_blocked")
# jupyter's own: it looks for a kernel in folders that a later version will drop
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs_on_results_alone(tmp_path):
    results = tmp_path / "results" / "paper"
    models = read_files(make_study(results / "metrics", seeds=(0, 1)))
    write_csv(results / "tables" / "runs.csv", models.runs)
    (results / "tables" / "table1.md").write_text(tables.table1_markdown(summarise(models.runs, models.answers)))
    (results / "figures").mkdir()
    diagram = results / "figures" / "fig1_architecture"
    figure_files.save(architecture_diagram.draw(), pdf=diagram.with_suffix(".pdf"), png=diagram.with_suffix(".png"))
    (tmp_path / "notebooks").mkdir()
    source = shutil.copy(ROOT / "notebooks" / "explore_results.ipynb", tmp_path / "notebooks")

    # they take seconds to load, in every process that collects the tests
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(source, as_version=4)
    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output["data"] for output in outputs if "data" in output]
    assert any("ShuffleNet" in data.get("text/markdown", "") for data in shown)
    assert any("no comparison" in data.get("text/markdown", "") for data in shown)
    assert sum("image/png" in data for data in shown) == 1 + 4


def test_the_notebook_is_kept_without_outputs():
    notebook = json.loads((ROOT / "notebooks" / "explore_results.ipynb").read_text(encoding="utf-8"))

    assert notebook["cells"]
    assert not [cell for cell in notebook["cells"] if cell.get("outputs")]
