"""scripts.verify_results on a study that was run whole: metrics from predictions, tables from metrics."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from running import TINY, planned, snakemake

from fairdistill.runtime.errors import run_script
from scripts import verify_results

MODEL = "digits_s/shufflenet/mfd/seed0"


@pytest.fixture
def results(study, tmp_path):
    """The study's results, to be altered: tables, metrics, models and data."""

    def copy(source, target):
        # no test alters the large files
        large = source.endswith(("weights.safetensors", "images.npy"))
        return os.link(source, target) if large else shutil.copy2(source, target)

    ignored = shutil.ignore_patterns("figures")
    return shutil.copytree(study / "results" / "tiny", tmp_path / "tiny", ignore=ignored, copy_function=copy)


def command(results, *more):
    """What verifies the study; `more` are files of settings beside its own."""
    files = map(str, (TINY, *more))
    return [sys.executable, "-m", "scripts.verify_results", "--results", str(results), "--configfile", *files]


def verify(results, checkout, *more):
    """Do what the command does in this process, which has loaded what it takes."""
    printed, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(checkout):
        patch.setattr("sys.argv", command(results, *more)[2:])
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
            try:
                run_script(verify_results.main)
                status = 0
            except SystemExit as end:
                # as Python does at its end
                print(end.code, file=sys.stderr)
                status = 1
    return subprocess.CompletedProcess(command(results, *more), status, printed.getvalue(), errors.getvalue())


def test_what_the_workflow_made_holds(results, checkout):
    env = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(command(results), cwd=checkout, env=env, text=True, capture_output=True)

    assert done.returncode == 0, done.stderr
    assert "5 metrics files and the tables from them hold; compared with the predictions of 5" in done.stdout
    assert done.stdout.splitlines()[-1] == f"{results}: not checked: figures"


@pytest.mark.long
def test_features_that_were_probed_hold_until_they_are_of_another_model(study, checkout, tmp_path):
    """Runs what the shared study leaves out: two probes, of the models of a smaller grid, and their table."""
    own = shutil.copytree(study, tmp_path / "study", copy_function=shutil.copy2)
    target = "results/tiny/tables/features.csv"
    given = (target, "--configfile", TINY, "--config", "methods=[mfd]")
    where = {"project": checkout, "directory": own}
    done = snakemake("--cores", 2, *given, **where)
    assert done.returncode == 0, done.stdout
    assert planned(*given, **where) == {}
    table = pd.read_csv(own / target)
    assert table.groupby(["method", "measure"], sort=False).size().to_dict() == {
        ("teacher", "mmd2"): 10, ("teacher", "consistency"): 1, ("mfd", "mmd2"): 10, ("mfd", "consistency"): 1,
    }  # fmt: skip
    results = own / "results" / "tiny"
    assert verify(results, checkout).returncode == 0

    probed = results / "features" / f"{MODEL}.json"
    record = json.loads(probed.read_text())
    record["outputs"]["weights.safetensors"] = "0" * 64
    record["features"]["consistency"]["value"] = 0.5
    probed.write_text(json.dumps(record))

    wrong = verify(results, checkout).stderr.splitlines()
    assert wrong[0] == f"{probed}: is of another model than {results / 'metrics' / MODEL}.json"
    assert wrong[1].startswith("tables/features.csv: line 23 is ")
    assert len(wrong) == 3

    (results / "tables" / "features.csv").unlink()
    asked = tmp_path / "asked.yaml"
    asked.write_text("probe_features: true\n")
    assert verify(results, checkout, asked).stderr.splitlines()[1] == "tables/features.csv is missing"


def test_a_table_that_is_gone_is_named(results, checkout):
    """Of the criteria, which studies with older metrics lack."""
    (results / "tables" / "criteria.csv").unlink()
    assert verify(results, checkout).stderr.splitlines()[0] == "tables/criteria.csv is missing"


def test_an_altered_prediction_is_found(results, checkout):
    path = results / "models" / MODEL / "predictions.parquet"
    predictions = pd.read_parquet(path)
    # the first test image that is right gets another class
    p = [name for name in predictions if re.fullmatch(r"p\d+", name)]
    right = predictions[p].to_numpy().argmax(axis=1) == predictions["label"]
    predictions.loc[right.idxmax(), p] = predictions.loc[right.idxmax(), p].to_numpy()[::-1]
    predictions.to_parquet(path, index=False)

    done = verify(results, checkout)

    assert done.returncode == 1
    assert f"metrics/{MODEL}.json: {path} is another than the one evaluated" in done.stderr
    assert "tables/" not in done.stderr


def test_files_of_another_training_are_found(results, checkout):
    (results / "models" / MODEL / "history.csv").write_text("epoch\n")
    path = results / "metrics" / MODEL.replace("mfd", "teacher")
    teacher = path.with_suffix(".json")
    record = json.loads(teacher.read_text())
    record["outputs"]["weights.safetensors"] = "0" * 64
    teacher.write_text(json.dumps(record))

    done = verify(results, checkout)

    assert done.returncode == 1
    assert f"{MODEL}/history.csv is another than the one evaluated" in done.stderr
    assert f"metrics/{MODEL}.json: its base is another than that of {teacher}" in done.stderr


def test_a_seed_that_the_tables_leave_out_is_found(results, checkout):
    path = results / "metrics" / MODEL
    record = json.loads(path.with_suffix(".json").read_text())
    record["run"]["seed"] = 7
    path.with_name("seed7.json").write_text(json.dumps(record))

    done = verify(results, checkout)

    assert done.returncode == 1
    assert "tables/runs.csv leaves out tiny digits_s shufflenet student mfd 7" in done.stderr


def test_a_base_without_metrics_is_named_and_so_is_what_does_not_follow_without_it(results, checkout):
    """The other architecture's teacher, on which a student stands."""
    base = results / "metrics" / "digits_s" / "resnet" / "teacher" / "seed0.json"
    base.unlink()

    done = verify(results, checkout)

    assert done.returncode == 1
    first, *others, count = done.stderr.splitlines()
    assert first == f"{base} is missing"
    # the costs of that student are no longer known
    assert [line for line in others if line.startswith("tables/methods.csv: line ")]
    assert all(line.startswith(("tables/", str(results / "tables"))) for line in others), others
    assert count == f"error: {len(others) + 1} of the results do not follow from what they are made of"


def test_altered_tables_and_one_that_is_gone_are_found(results, checkout):
    is_row = {".csv": lambda line: "," in line, ".tex": lambda line: "&" in line, ".md": lambda line: line[0] == "|"}
    expected = ["tables/paired.md is missing"]
    (results / "tables" / "paired.md").unlink()
    for table in ("runs.csv", "table1.tex", "ablations.md", "methods.md", "paper_vs_reproduced.md"):
        path = results / "tables" / table
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        # the first row with a number below 1
        number, line = next((i, row) for i, row in enumerate(lines) if "0." in row and is_row[path.suffix](row))
        lines[number] = re.sub(r"0\.(\d)", lambda digit: f"0.{(int(digit[1]) + 1) % 10}", line, count=1)
        path.write_text("".join(lines), encoding="utf-8")
        expected.append(f"tables/{table}: line {number + 1} is")

    done = verify(results, checkout)

    assert done.returncode == 1
    *wrong, count = done.stderr.splitlines()
    assert all(len([line for line in wrong if line.startswith(one)]) == 1 for one in expected), wrong
    assert count == "error: 6 of the results do not follow from what they are made of"


def test_ablations_of_an_earlier_version_do_not_hold_and_all_else_is_compared(results, checkout):
    path = results / "tables" / "ablations.csv"
    pd.read_csv(path).drop(columns="seeds").to_csv(path, index=False)
    (results / "tables" / "table1.md").write_bytes(b"\xff")

    done = verify(results, checkout)

    assert done.returncode == 1
    ablations, table1, count = done.stderr.splitlines()
    assert ablations == f"{path}: column 'seeds' is missing; make it with scripts.make_ablations"
    assert table1.startswith("tables/table1.md: is no text (")
    assert count == "error: 2 of the results do not follow from what they are made of"


@pytest.mark.parametrize(("field", "key"), [("outputs", "history.csv"), ("evaluation_versions", None)])
def test_a_record_without_what_is_verified_is_one_line(results, checkout, field, key):
    path = results / "metrics" / f"{MODEL}.json"
    record = json.loads(path.read_text())
    record[field] = {} if key else []
    path.write_text(json.dumps(record))

    done = verify(results, checkout)

    what = f"outputs lacks the key '{key}'" if key else "evaluation_versions is []; it must be a mapping"
    assert (done.returncode, done.stderr) == (1, f"error: {path}: {what}; evaluate the model again\n")
