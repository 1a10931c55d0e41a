"""The pages and the notebooks of results are made from files alone: nothing imports torch. All notebooks run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_results import make_study

from fairdistill.reporting import figure_files, table1
from fairdistill.reporting.csv_files import write_csv
from fairdistill.reporting.models import read_files
from fairdistill.reporting.paper import diagram as architecture_diagram
from fairdistill.reporting.summaries import summarise

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# it looks for a kernel in folders that a later version will drop
JUPYTER_WARNS = pytest.mark.filterwarnings("ignore::DeprecationWarning")
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
    *(f"fairdistill.reporting.{name}" for name in ("ablations", "figures", "models", "published", "table1")),
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


def run(source):
    """Execute a notebook in its folder; return what its cells show: data by kind, and text."""
    # they take seconds to load, in every process that collects the tests
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(source, as_version=4)
    resources = {"metadata": {"path": str(Path(source).parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output["data"] if "data" in output else {"text/plain": output["text"]} for output in outputs]


@pytest.mark.usefixtures("torch_is_blocked")
@JUPYTER_WARNS
def test_the_notebook_runs_on_results_alone(tmp_path):
    results = tmp_path / "results" / "paper"
    models = read_files(make_study(results / "metrics", seeds=(0, 1)))
    write_csv(results / "tables" / "runs.csv", models.runs)
    (results / "tables" / "table1.md").write_text(table1.table1_markdown(summarise(models.runs, models.trainings)))
    (results / "figures").mkdir()
    diagram = results / "figures" / "fig1_architecture"
    figure_files.save(architecture_diagram.draw(), pdf=diagram.with_suffix(".pdf"), png=diagram.with_suffix(".png"))
    (tmp_path / "notebooks").mkdir()
    source = shutil.copy(ROOT / "notebooks" / "explore_results.ipynb", tmp_path / "notebooks")

    shown = run(source)
    assert any("ShuffleNet" in data.get("text/markdown", "") for data in shown)
    assert any("no comparison" in data.get("text/markdown", "") for data in shown)
    assert sum("image/png" in data for data in shown) == 1 + 4


@pytest.mark.usefixtures("torch_is_blocked")
@JUPYTER_WARNS
def test_the_notebook_of_a_report_shows_the_published_numbers_beside_those_of_metric_frame():
    shown = run(ROOT / "notebooks" / "fairness_report.ipynb")

    record = ROOT / "results/paper_h100/metrics/utkface/resnet/teacher/seed0.json"
    metrics = json.loads(record.read_text(encoding="utf-8"))["metrics"]
    page = next(data["text/html"] for data in shown if "Accuracy and DEO" in data.get("text/html", ""))
    text = "\n".join(data.get("text/plain", "") for data in shown)
    for name in ("accuracy", "deo_a", "deo_m"):
        assert f"<td>{metrics[name]:.3f}</td>" in page
    deo = metrics["uncertainty"]["deo_m"]
    assert f"DEO_M {metrics['deo_m']:.3f}, 95 % interval {deo['low']:.3f} to {deo['high']:.3f}" in text
    assert f"up to {deo['fair_baseline']['high']:.3f}: {deo['verdict']}" in text
    for group, accuracy in metrics["accuracy_per_group"].items():
        assert re.search(rf"^{group} +{accuracy:.4f} +{accuracy:.4f}$", text, flags=re.MULTILINE)
    assert sum("image/png" in data for data in shown) == 2


@JUPYTER_WARNS
def test_the_notebook_of_mfd_shows_a_loss_that_is_right_and_a_student_that_becomes_fair():
    shown = run(ROOT / "notebooks" / "mfd_by_hand.ipynb")

    text = "\n".join(data.get("text/plain", "") for data in shown)
    total, ours = re.search(r"^by hand: .* = (\S+); mfd_loss: (\S+)$", text, flags=re.MULTILINE).groups()
    assert float(total) == pytest.approx(float(ours), abs=2e-4)
    lines = re.findall(r"^(.*\S) +DEO_A (\S+) .*: (.*)$", text, flags=re.MULTILINE)
    students = [float(deo) for name, deo, _ in lines if name.startswith("student")]
    assert students == sorted(students, reverse=True)
    verdicts = {name: verdict for name, _, verdict in lines}
    assert verdicts["teacher"] == verdicts["student, lambda = 0"] == "above fair baseline"
    assert verdicts["student, lambda = 10"] == "not distinguishable from fair"
    assert sum("image/png" in data for data in shown) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_is_kept_without_outputs(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))

    assert notebook["cells"]
    assert not [cell for cell in notebook["cells"] if cell.get("outputs") or cell.get("execution_count")]
