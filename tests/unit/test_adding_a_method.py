"""docs/adding_a_method.md, followed word for word in a copy of the project."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from pages import blocks, run, write

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding_a_method.md"
COPIED = ("Snakefile", "config", "envs", "fairdistill", "profiles", "pyproject.toml", "scripts", "tests", "workflow")


# runs modules one after another in one Python: importing torch anew for each takes longer than they do
IN_TURN = """import json, runpy, sys
for module, *options in json.load(sys.stdin):
    sys.argv = [module, *options]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise"""


def command(title):
    """The block of commands of a title, to be run by a shell that stops at the first failure."""
    (text,) = [block.text for block in blocks(PAGE) if (block.language, block.title) == ("bash", title)]
    return text


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with the page's method."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    for block in blocks(PAGE):
        if block.language != "bash":
            write(folder, block)
    return folder


def test_the_page_writes_what_it_says(project):
    titles = [block.title for block in blocks(PAGE) if block.language != "bash"]
    assert sorted({*titles}) == [
        "config/logit_matching.yaml",
        "fairdistill/methods/logit_matching.py",
        "fairdistill/settings/methods.py",
        "tests/unit/test_methods_logit_matching.py",
    ]
    assert all((project / title).exists() for title in titles)


def test_what_the_page_writes_is_in_the_projects_style(project):
    files = [block.title for block in blocks(PAGE) if block.title.endswith(".py")]
    run(project, f"python -m ruff check {' '.join(files)} && python -m ruff format --check {' '.join(files)}")


def test_the_pages_configuration_is_complete_and_its_mistakes_are_named(project):
    run(
        project,
        """python - <<'END'
import fairdistill, yaml
from pathlib import Path
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete

assert Path(fairdistill.__file__).parents[1] == Path.cwd()
config = yaml.safe_load(open("config/logit_matching.yaml"))
matching = complete(config).students["matching"]
assert matching.label_weight == 0.5 and matching.stands_on.method == "teacher", matching
config["students"]["matching"]["label_weight"] = -1
try:
    complete(config)
except UserError as error:
    assert str(error).startswith("config: students.matching.label_weight is -1; it must be at least 0"), error
else:
    raise AssertionError("a negative weight was taken")
END""",
    )


@pytest.mark.long
def test_the_pages_test_passes(project):
    assert "4 passed" in run(project, command("in the project's folder"))


@pytest.mark.long
def test_the_pages_model_is_trained_by_hand(project):
    lines = [shlex.split(line) for line in command("by hand").replace("\\\n", " ").splitlines()]
    assert [line[:2] for line in lines] == [["python", "-m"]] * 3
    output = run(project, f"python -c {shlex.quote(IN_TURN)}", input=json.dumps([line[2:] for line in lines]))
    assert "matching" in output
    record = json.loads((project / "results/try/student/training.json").read_text(encoding="utf-8"))
    method = record["parameters"]["method"]
    assert (method["kind"], method["label_weight"]) == ("logit_matching", 0.0)
    assert (record["run"]["method"], record["run"]["role"]) == ("logit_matching", "student")
    assert len(record["inputs"]["base"]) == 64
    history = pd.read_csv(project / "results/try/student/history.csv")
    assert history["matching"].iloc[-1] < history["matching"].iloc[0]
    assert (history["cross_entropy"] == 0).all()
    predictions = pd.read_parquet(project / "results/try/student/predictions.parquet")
    assert len(predictions) > 0


def test_the_workflow_plans_the_pages_study(project):
    """The first of the two commands; the second one trains what the test above trains by hand."""
    planning = [line for line in command("the workflow").splitlines() if line.endswith("--dry-run")]
    output = run(project, "\n".join(planning))
    assert "results/logit_matching/models/digits_s/resnet/matching/seed0/weights.safetensors" in output
    assert "results/logit_matching/models/digits_s/resnet/teacher/seed0/weights.safetensors" in output
    assert re.search(r"^train_model\s+2$", output, re.MULTILINE)


def test_the_pages_documentation_names_the_new_method(project):
    run(project, command("the documentation"))
    for path in ("workflow/schemas/config.schema.json", "config/README.md"):
        assert "label_weight" in (project / path).read_text(encoding="utf-8")
        assert "label_weight" not in (ROOT / path).read_text(encoding="utf-8")


def test_a_change_of_the_new_method_is_a_new_version_of_its_models_alone(project):
    """And neither the new class of settings nor its line in the union is one of any model."""
    script = """python - <<'END'
from fairdistill.runtime.provenance import code_version
for method in ("erm", "kd", "logit_matching"):
    print(code_version("scripts.train_model", f"fairdistill.methods.{method}"))
END"""
    before = run(project, script).split()
    with open(project / "fairdistill/methods/logit_matching.py", "a", encoding="utf-8") as file:
        file.write("\nSCALE = 2\n")
    changed = run(project, script).split()
    assert changed[:2] == before[:2]
    assert changed[2] != before[2]
    original = run(ROOT, script.replace(', "logit_matching"', "")).split()
    assert original == before[:2]
