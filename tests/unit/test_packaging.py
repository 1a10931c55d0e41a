"""The package, installed without the checkout: what it needs, and what works without torch."""

import ast
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest
import yaml

import fairdistill

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
METRICS = ROOT / "results" / "paper" / "metrics" / "cifar10s" / "resnet" / "mfd" / "seed0.json"
TRAIN = {"fairlearn", "safetensors", "torch", "torchvision"}
EXPORT = {"huggingface-hub", "markdown-it-py", "mlcroissant", "onnx", "onnxruntime", "onnxscript"}
PAGES = {"altair", "jinja2", "markdown-it-py", "markupsafe", "vl-convert-python"}
# modules whose distribution has another name
DISTRIBUTIONS = {
    "PIL": "pillow",
    "huggingface_hub": "huggingface-hub",
    "markdown_it": "markdown-it-py",
    "pydantic_core": "pydantic",
    "sklearn": "scikit-learn",
    "vl_convert": "vl-convert-python",
    "yaml": "pyyaml",
}
# behind what is imported: pandas reads and writes parquet with the one, torch exports with the other
NOT_IMPORTED = {"pyarrow", "onnxscript"}

IMPORT_EVERYTHING = """
import importlib, importlib.util, pkgutil, sys

folder, metrics = sys.argv[1:]
sys.path.insert(0, folder)

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"fairlearn", "safetensors", "torch", "torchvision"}:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, NotInstalled())

import fairdistill
from fairdistill.evaluation.correctness import from_metrics
from fairdistill.runtime.files import read_json
from fairdistill.settings.configuration import complete

assert importlib.util.find_spec("scripts") is None, "the checkout is in sys.path"
print(fairdistill.__file__)
print(complete({"training": {"epochs": 3}}).training.epochs)
record = read_json(metrics)
correctness = from_metrics(record["metrics"], classes=record["classes"], groups=record["groups"])
print((correctness.accuracy * correctness.count).sum() / correctness.count.sum())
for package in ("settings", "runtime", "evaluation", "reporting", "data", "verification"):
    for module in pkgutil.walk_packages([f"{folder}/fairdistill/{package}"], f"fairdistill.{package}."):
        importlib.import_module(module.name)
        print(module.name)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without the network from a copy of what is tracked."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    copytree(ROOT / "fairdistill", source / "fairdistill", ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy(ROOT / name, source)
    build = "from setuptools.build_meta import build_wheel; import sys; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, folder], cwd=source, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_package_works_outside_the_checkout_and_without_torch(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    copy(METRICS, tmp_path / "metrics.json")
    command = [sys.executable, "-I", "-c", IMPORT_EVERYTHING, tmp_path / "installed", tmp_path / "metrics.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    place, epochs, accuracy, *modules = done.stdout.splitlines()
    assert Path(place).is_relative_to(tmp_path / "installed")
    assert epochs == "3"
    assert float(accuracy) == pytest.approx(json.loads(METRICS.read_text(encoding="utf-8"))["metrics"]["accuracy"])
    assert {"fairdistill.settings.reading", "fairdistill.reporting.figures", "fairdistill.data.utkface"} <= set(modules)


def test_the_wheel_has_the_library_alone_and_its_license(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    assert {name.split("/")[0] for name in names} == {"fairdistill", f"fairdistill-{fairdistill.__version__}.dist-info"}
    assert {path.name for path in (ROOT / "fairdistill" / "data").glob("*.npy")} <= {Path(name).name for name in names}
    assert {"fairdistill/py.typed", "fairdistill/evaluation/__init__.pyi"} <= set(names)
    assert sum(name.endswith("/licenses/LICENSE") for name in names) == 1
    assert "License-Expression: MIT" in metadata
    assert "Provides-Extra: train" in metadata


def requirements(lines):
    """Distribution -> its versions."""
    return dict(re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in lines)


def imported(folder):
    """Distributions that the modules of a folder import, wherever in them."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module)
    modules = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"fairdistill"}
    return {DISTRIBUTIONS.get(module, module) for module in modules}


NEEDED = requirements(PYPROJECT["project"]["dependencies"])
EXTRAS = {name: requirements(lines) for name, lines in PYPROJECT["project"]["optional-dependencies"].items()}


def test_the_package_names_what_it_imports_and_nothing_else():
    found = imported(ROOT / "fairdistill")
    assert {name: set(extra) for name, extra in EXTRAS.items()} == {"train": TRAIN, "export": EXPORT, "pages": PAGES}
    assert found | NOT_IMPORTED >= TRAIN | EXPORT | PAGES
    assert set(NEEDED) == (found | NOT_IMPORTED) - TRAIN - EXPORT - PAGES


def test_every_dependency_has_the_bounds_of_requirements_in():
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    developed = requirements(line for line in lines if not line.startswith("#"))
    needed = NEEDED | EXTRAS["train"] | EXTRAS["export"] | EXTRAS["pages"]
    assert all(bounds.startswith(">=") for bounds in needed.values())
    assert needed.items() <= developed.items()


def test_the_citation_is_of_this_version_and_names_both_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == fairdistill.__version__
    assert citation["title"]
    assert citation["message"]
    assert citation["license"] == PYPROJECT["project"]["license"]
    assert citation["authors"] == PYPROJECT["project"]["authors"] == [{"name": "The fairdistill authors"}]
    method, reproduced = citation["references"]
    assert method["title"] == "Fair Feature Distillation for Visual Recognition"
    assert [author["family-names"] for author in method["authors"]] == ["Jung", "Lee", "Park", "Moon"]
    assert reproduced["title"] == "Improving Fairness in Visual Recognition through Feature Distillation"


def test_the_license_is_the_one_that_is_named():
    license_text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert license_text.startswith("MIT License\n\nCopyright (c) 2026 The fairdistill authors\n")
