"""Each rule's conda environment has what its script imports."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from fairdistill.runtime.provenance import PROJECT, imported_names, project_modules

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {
    "PIL": "pillow",
    "markdown_it": "markdown-it-py",
    # a part of pydantic
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
    "torch": "pytorch",
    "vl_convert": "vl-convert-python",
    "yaml": "pyyaml",
}
# the newest versions that conda-forge was seen to have, by its names
NEWEST = {
    "python": "3.12.13",
    "pytorch": "2.13.0",
    "torchvision": "0.28.0",
    "numpy": "2.5.1",
    "pandas": "3.0.5",
    "seaborn": "0.13.2",
    "scikit-learn": "1.9.0",
    "pyarrow": "25.0.0",
    "imagehash": "4.3.2",
    "mlcroissant": "1.1.0",
    "onnxscript": "0.5.6",
}
# needed and not imported: pandas reads and writes parquet by pyarrow, and torch exports by onnxscript
NOT_IMPORTED = {"python", "pyarrow", "onnxscript"}
# the packages whose modules a script loads by the names in the settings
LOADED_BY_NAME = {
    "download_dataset": ["data"],
    "prepare_dataset": ["data"],
    "train_model": ["training/engines", "methods", "networks"],
    "probe_features": ["methods", "networks"],
    "export_model": ["methods", "networks"],
}


def rules():
    """Every rule that runs a script: its name, its script and its environment."""
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for block in re.split(r"^rule ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            name = block[: block.index(":")]
            (script,) = re.findall(r"python -m (scripts\.\w+)", block)
            (env,) = re.findall(r"envs/(\w+)\.yaml", block)
            yield name, script, env


RULES = list(rules())
ENVS = sorted({env for _, _, env in RULES})


def third_party(script):
    """Top-level names of other projects that a script imports, directly or through the library."""
    loaded = [
        f"fairdistill.{package.replace('/', '.')}.{path.stem}"
        for package in LOADED_BY_NAME.get(script.removeprefix("scripts."), [])
        for path in (ROOT / "fairdistill" / package).glob("[a-z]*.py")
    ]
    names = {name for module in project_modules([script, *loaded]) for name in imported_names(module)}
    return {name.split(".")[0] for name in names} - set(PROJECT) - sys.stdlib_module_names


def dependencies(env):
    """Package name -> version range of an environment file."""
    content = yaml.safe_load((ROOT / "envs" / f"{env}.yaml").read_text(encoding="utf-8"))
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert all(isinstance(line, str) for line in content["dependencies"]), "no pip: section"
    return dict(line.split(" ", 1) for line in content["dependencies"])


def test_rule_and_script_share_their_name():
    assert RULES
    for name, script, _ in RULES:
        assert script == f"scripts.{name}"


def test_every_environment_is_used():
    assert sorted(path.stem for path in (ROOT / "envs").glob("*.yaml")) == ENVS


@pytest.mark.parametrize(("name", "script", "env"), RULES, ids=[rule[0] for rule in RULES])
def test_what_a_script_imports_is_in_its_environment(name, script, env):
    needed = {CONDA_NAMES.get(module, module) for module in third_party(script)}
    assert needed <= set(dependencies(env))


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_has_nothing_that_no_script_imports(env):
    imported = {module for _, script, its_env in RULES if its_env == env for module in third_party(script)}
    assert set(dependencies(env)) - NOT_IMPORTED <= {CONDA_NAMES.get(module, module) for module in imported}


@pytest.mark.parametrize("env", ENVS)
def test_environments_name_ranges_that_conda_forge_can_meet(env):
    for package, versions in dependencies(env).items():
        low = re.match(r">=([\d.]+)", versions)
        assert low, f"{package} has no lower bound"
        if package in NEWEST:
            newest = [int(part) for part in NEWEST[package].split(".")]
            assert [int(part) for part in low[1].split(".")] <= newest, package


@pytest.mark.parametrize(
    "script", ["evaluate_model", "aggregate_results", "make_table", "plot_comparison", "make_model_card", "predict"]
)
def test_what_follows_the_predictions_needs_no_torch(script):
    assert not {"torch", "torchvision", "safetensors"} & third_party(f"scripts.{script}")


def test_on_a_cluster_all_rules_of_pages_share_a_job():
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    pages = (ROOT / "workflow" / "rules" / "report.smk").read_text(encoding="utf-8")
    rules_of_pages = re.findall(r"^rule (\w+):", pages, flags=re.MULTILINE)
    assert len(rules_of_pages) > 10
    assert {name: profile["groups"].get(name) for name in rules_of_pages} == dict.fromkeys(rules_of_pages, "pages")
