"""What the repository says of itself to tools and people: hooks, workflows, forms, the catalog, data sheets, links."""

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
import yaml

from fairdistill.settings.data import AnyDataSet

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "config" / "README.md"])
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
DATA_SETS = get_args(get_args(AnyDataSet)[0])


def read_yaml(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def without_code(page):
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors that GitHub gives the headings of a page."""
    seen = Counter()
    for heading in re.findall(r"^#+ (.*)$", without_code(page), flags=re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        yield f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_to_a_file_or_heading_leads_somewhere(page):
    for target in re.findall(r"\]\(\s*([^)\s]+)\s*\)", without_code(page)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in set(anchors(file)), target


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_a_page_ends_with_a_line_and_has_no_spaces_at_the_end_of_one(page):
    """As .editorconfig asks."""
    text = page.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert re.findall(r"^.*[ \t]+$", text, flags=re.MULTILINE) == []


def hooks():
    """Id of each hook -> the version of its repository, or the command of a local one."""
    for repository in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]:
        for hook in repository["hooks"]:
            yield hook["id"], hook.get("entry") or repository["rev"]


def test_the_hooks_have_the_versions_of_the_lock():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^(ruff|snakefmt)==(\S+)", lock, flags=re.MULTILINE))
    versions = dict(hooks())
    assert versions["ruff-check"] == versions["ruff-format"] == f"v{locked['ruff']}"
    assert versions["snakefmt"] == f"v{locked['snakefmt']}"


def test_the_hooks_are_what_make_lint_runs():
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    commands = re.findall(r"\$\(BIN\)/(ruff \w+|[\w-]+)", recipe[1])
    assert {command.replace(" ", "-") for command in commands} <= set(dict(hooks()))


SCHEMAS = [
    *(("github-workflows", path) for path in WORKFLOWS),
    *(("github-issue-config" if path.stem == "config" else "github-issue-forms", path) for path in FORMS),
    ("citation-file-format", ROOT / "CITATION.cff"),
]


@pytest.mark.parametrize(("schema", "path"), SCHEMAS, ids=[path.name for _, path in SCHEMAS])
def test_what_others_read_is_as_their_schema_says(schema, path):
    check = ["-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(path)]
    done = subprocess.run([sys.executable, *check], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.name for path in WORKFLOWS])
def test_a_workflow_may_only_read_and_ends_in_time(path):
    workflow = read_yaml(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v1"))


def test_the_workflows_run_targets_that_there_are_on_each_python_that_is_promised():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    jobs = [job for path in WORKFLOWS for job in read_yaml(path)["jobs"].values()]
    commands = [step.get("run", "") for job in jobs for step in job["steps"]]
    made = {command.split()[-1] for command in commands if command.startswith("make ")}
    assert made == {"env", "site", "test"} <= targets
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    assert read_yaml(ROOT / ".github/workflows/tests.yml")["jobs"]["test"]["strategy"]["matrix"]["python"] == promised


@pytest.mark.parametrize("path", FORMS, ids=[path.name for path in FORMS])
def test_an_issue_form_has_what_github_asks_for(path):
    form = read_yaml(path)
    if path.name == "config.yml":
        assert set(form) <= {"blank_issues_enabled", "contact_links"}
        return
    assert form["name"]
    assert form["description"]
    for part in form["body"]:
        if part["type"] == "markdown":
            assert part["attributes"]["value"]
            continue
        assert part["type"] in {"input", "textarea", "checkboxes"}
        assert part["attributes"]["label"]
        assert all(option["label"] for option in part["attributes"].get("options", []))
    ids = [part["id"] for part in form["body"] if "id" in part]
    assert len(ids) == len(set(ids)) > 0


def test_the_catalog_is_told_what_is_true():
    usage = read_yaml(ROOT / ".snakemake-workflow-catalog.yml")["usage"]
    rules = "".join(path.read_text(encoding="utf-8") for path in RULES)
    deployed = {"conda": r"^    conda:", "apptainer": r"^    (container|containerized):"}
    present = {name for name, directive in deployed.items() if re.search(directive, rules, flags=re.MULTILINE)}
    assert {name for name, works in usage["software-stack-deployment"].items() if works} == present
    assert usage["report"] == ("report(" in rules)
    for path in re.findall(r"config/\w+\.yaml", usage["mandatory-flags"]["desc"]):
        assert (ROOT / path).exists()
    for path in ("workflow/Snakefile", "config/config.yaml", "config/README.md", "README.md", "LICENSE"):
        assert (ROOT / path).exists()


@pytest.fixture(scope="module")
def ethics():
    return " ".join((ROOT / "docs" / "data_ethics.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("kind", DATA_SETS, ids=[kind.__name__ for kind in DATA_SETS])
def test_the_data_sheets_have_the_terms_of_the_settings(ethics, kind):
    terms = kind.terms[0].upper() + kind.terms[1:]
    if kind.terms_url:
        assert f"**Terms.** [{terms}]({kind.terms_url})" in ethics
    else:
        assert f'"{kind.terms}"' in ethics


def test_the_counts_of_utkface_are_those_of_the_records(ethics):
    counts = Counter()
    for path in (ROOT / "results/utkface_folds/metrics/utkface/resnet/mfd").glob("seed0-fold*.json"):
        for group, classes in json.loads(path.read_text(encoding="utf-8"))["metrics"]["cell_count"].items():
            counts.update({(group, name): count for name, count in classes.items()})
    assert len(counts) == 12
    for group in ("White", "Black", "Asian", "Indian"):
        cells = [counts[group, name] for name in ("under 20", "20 to 39", "40 and over")]
        assert f"| {group} | " + " | ".join(f"{count:,}" for count in cells) + " |" in ethics


def test_the_counts_of_digits_s_are_those_of_the_records(ethics):
    path = ROOT / "results/methods_digits/metrics/digits_s/resnet/mfd/seed0.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    counts = [count for classes in metrics["cell_count"].values() for count in classes.values()]
    assert f"({metrics['n']:,} images, {min(counts)} to {max(counts)} of each class and tint)" in ethics
