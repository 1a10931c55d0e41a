"""What the version of the code stands for, and the record of packages and machine."""

import ast
import itertools
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest

from fairdistill.runtime import provenance
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.training import Training

FILES = {
    "scripts/__init__.py": "",
    "scripts/train.py": (
        "from fairdistill import loop\nfrom fairdistill.runtime import files\nfrom fairdistill.methods import build\n"
    ),
    "scripts/plot.py": "import fairdistill.reporting.figures\n",
    "fairdistill/__init__.py": '__version__ = "1"\n',
    "fairdistill/loop.py": (
        '"""The loop."""\n\ndef step(x: int) -> int:\n    """One step."""\n    return x + 1\n'
        "\nclass Settings:\n    rate: float = 0.1\n"
    ),
    "fairdistill/runtime/files.py": "ENCODING = 'utf-8'\n",
    "fairdistill/reporting/figures.py": "COLOUR = 'red'\n",
    "fairdistill/late.py": "A = 1\n",
    "fairdistill/methods/__init__.py": ("def build():\n    from fairdistill.late import A\n    return A\n"),
    "fairdistill/methods/mfd.py": "class MFD:\n    weight = 1\n",
}


def forget():
    """A process reads each module once."""
    for function in ("code_version", "imported_names", "_source", "_tree", "_logic"):
        getattr(provenance, function).cache_clear()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project in the place of this one; a function that edits one of its files."""

    def edit(name, old="", new=""):
        path = tmp_path / name
        text = path.read_text() if path.exists() else FILES[name]
        assert old in text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(old, new) if old else text)
        forget()

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    for name in FILES:
        edit(name)
    yield edit
    monkeypatch.undo()
    forget()


def version(*modules):
    return provenance.code_version("scripts.train", *modules)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("fairdistill/loop.py", "return", "# a comment\n    return"),
        ("fairdistill/loop.py", "One step.", "One step, described anew."),
        ("fairdistill/loop.py", '"""The loop."""\n\n', ""),
        ("fairdistill/loop.py", "x + 1", "(x  +  1)"),
        ("fairdistill/loop.py", "x: int) -> int:", "x: float):"),
        ("fairdistill/__init__.py", '"1"', '"2"'),
        ("fairdistill/loop.py", "\nclass", "\ndef __getattr__(name):\n    return name\n\nclass"),
        ("fairdistill/methods/mfd.py", "1", "2"),
        ("fairdistill/reporting/figures.py", "red", "blue"),
        ("fairdistill/runtime/files.py", "utf-8", "utf-16"),
    ],
)
def test_what_does_not_touch_the_logic_keeps_the_version(project, name, old, new):
    before = version()
    project(name, old, new)
    assert version() == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("fairdistill/loop.py", "x + 1", "x + 2"),
        ("fairdistill/loop.py", "x + 1", "x - 1"),
        # of a class, it decides what its attributes are
        ("fairdistill/loop.py", "    rate", "    def __getattr__(self, name):\n        return name\n    rate"),
        # the default of a setting
        ("fairdistill/loop.py", "0.1", "0.2"),
        ("fairdistill/late.py", "1", "2"),
        ("fairdistill/methods/__init__.py", "return A", "return -A"),
        ("scripts/train.py", "loop\n", "loop\nloop.step(1)\n"),
    ],
)
def test_changed_logic_changes_the_version(project, name, old, new):
    before = version()
    project(name, old, new)
    assert version() != before


def test_a_module_loaded_by_name_counts_where_it_is_given(project):
    before = version("fairdistill.methods.mfd")
    assert before != version()
    project("fairdistill/methods/mfd.py", "1", "2")
    assert version("fairdistill.methods.mfd") != before


def test_the_version_does_not_depend_on_the_folder(project, tmp_path, monkeypatch):
    before = version()
    moved = tmp_path.rename(tmp_path.with_name("elsewhere"))
    monkeypatch.setattr(provenance, "ROOT", moved)
    forget()
    assert version() == before


def test_a_neutral_package_hides_no_other():
    for package in provenance.NEUTRAL:
        folder = provenance.ROOT.joinpath(*package.split("."))
        modules = {f"{package}.{path.stem}" for path in folder.glob("[a-z]*.py")}.difference(provenance.COUNTED)
        reached = provenance.project_modules([package, *modules])
        assert {name for name in reached if not provenance.is_neutral(name)} - set(provenance.COUNTED) == {
            "fairdistill"
        }


def test_the_version_does_not_change_with_the_report_of_others_predictions(copy):
    """It is offered by the package of what evaluates models."""

    def versions():
        forget()
        making = ("scripts.prepare_dataset", "fairdistill.data.folder")
        return [provenance.code_version(*making), provenance.code_version("scripts.evaluate_model")]

    before = versions()
    (copy / "fairdistill/evaluation/fairness_report.py").write_text("ANOTHER = 1\n", encoding="utf-8")
    (copy / "fairdistill/evaluation/__init__.py").write_text('"""Of predictions."""\n', encoding="utf-8")
    assert versions() == before


OF_OWN_FILES = [name for name in provenance.COUNTED if name.startswith("fairdistill.runtime.")]


@pytest.mark.parametrize("module", OF_OWN_FILES)
def test_what_reads_the_users_own_files_counts_for_data_sets_of_them(monkeypatch, module):
    def versions():
        making = [("scripts.prepare_dataset", f"fairdistill.data.{kind}") for kind in ("folder", "utkface")]
        return [provenance.code_version.__wrapped__(*modules) for modules in [*making, ("scripts.train_model",)]]

    before = versions()
    logic = provenance._logic
    monkeypatch.setattr(provenance, "_logic", lambda name: "changed" if name == module else logic(name))
    of_folders, of_archives, of_trainings = (old != new for old, new in zip(before, versions(), strict=True))
    assert of_folders
    # UTKFace may be a folder of one's own
    assert of_archives == (module == "fairdistill.runtime.folders")
    assert not of_trainings


def test_the_making_of_data_is_no_part_of_the_training_code():
    training = provenance.project_modules(["scripts.train_model"])
    modules = {name for name in training if name.startswith("fairdistill.data")}
    assert modules == {
        "fairdistill.data", "fairdistill.data.facts", "fairdistill.data.reading", "fairdistill.data.sampling",
    }  # fmt: skip
    assert "fairdistill.data.preparing" in provenance.project_modules(["scripts.prepare_dataset"])


def test_an_import_counts_wherever_a_statement_can_be():
    """In each kind of block that Python has."""
    blocks = [
        "if a:\n import m0\nelif b:\n import m1\nelse:\n import m2",
        "for a in b:\n import m3\nelse:\n import m4",
        "while a:\n import m5\nelse:\n import m6",
        "try:\n import m7\nexcept A:\n import m8\nelse:\n import m9\nfinally:\n import m10",
        "try:\n pass\nexcept* A:\n import m11",
        "with a:\n import m12",
        "match a:\n case 1:\n  import m13",
        "class A:\n def b():\n  async def c():\n   async with d:\n    async for e in f:\n     import m14",
    ]
    tree = ast.parse("\n".join(blocks))
    assert {*provenance._imports(tree)} == {f"m{i}" for i in range(15)}


def test_an_unknown_module_is_refused():
    with pytest.raises(ModuleNotFoundError, match=r"scripts\.no_such_script"):
        provenance.code_version("scripts.no_such_script")
    with pytest.raises(ModuleNotFoundError, match="json"):
        provenance.code_version("json")


def test_versions_name_python_and_what_is_installed():
    versions = provenance.versions()
    assert versions["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert {"numpy", "pandas"} <= set(versions)


def test_hardware_does_not_load_torch():
    code = (
        "import sys; from fairdistill.runtime.provenance import hardware; h = hardware(); "
        "assert h['cpu'] and h['cores'] >= 1 and h['gpu'] is None, h; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_peak_memory_is_in_mib_on_every_system(monkeypatch, platform, unit):
    """Linux counts in KiB, macOS in bytes."""
    monkeypatch.setattr(provenance.sys, "platform", platform)
    monkeypatch.setattr(provenance.resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=3 * 2**20 // unit))
    assert provenance.peak_memory_mb() == 3


# the classes of the settings, one for each kind
NETWORKS, METHODS = (get_args(get_args(union)[0]) for union in (AnyNetwork, AnyMethod))


def kind_of(settings):
    # its own name, and then its other names
    kind, *_ = get_args(settings.model_fields["kind"].annotation)
    return kind


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of this project in its place, to edit."""
    root = provenance.ROOT
    for name in provenance.PROJECT:
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    yield tmp_path
    monkeypatch.undo()
    forget()


def versions_of_trainings():
    """The version of every kind of training, as the workflow takes it, by kind of network and method, and engine."""
    forget()
    modules = {kind_of(settings): settings.implementation.split(":")[0] for settings in (*NETWORKS, *METHODS)}
    modules |= Training.engines
    choices = ([kind_of(network) for network in NETWORKS], [kind_of(method) for method in METHODS], Training.engines)
    return {
        names: provenance.code_version("scripts.train_model", *(modules[name] for name in names))
        for names in itertools.product(*choices)
    }


@pytest.mark.parametrize(
    ("path", "retrained"),
    [
        ("fairdistill/networks/resnet.py", {"resnet18", "resnet34", "resnet50"}),
        ("fairdistill/networks/shufflenet.py", {"shufflenet_v2_x0_5"}),
        # whose discrepancy group_mmd takes, and whose kernel vfae
        ("fairdistill/methods/mfd.py", {"mfd", "group_mmd", "vfae"}),
        ("fairdistill/training/engines/fast.py", {"fast"}),
        ("fairdistill/training/engines/reference.py", {"reference"}),
    ],
)
def test_changed_logic_retrains_what_uses_it_and_a_comment_nothing(copy, path, retrained):
    before = versions_of_trainings()
    file = copy / path
    file.write_text('"""Another docstring."""\n# a comment\n' + file.read_text(), encoding="utf-8")
    assert versions_of_trainings() == before
    file.write_text(file.read_text() + "\nANOTHER = 1\n", encoding="utf-8")
    after = versions_of_trainings()
    changed = {names for names in before if after[names] != before[names]}
    assert changed == {names for names in before if retrained.intersection(names)}


def test_the_version_of_the_code_counts_the_tables_that_a_module_reads(project, tmp_path):
    """Of packages as well, and not what only looks like one."""
    before = [version()]
    for path in ("loop.amx.csv", "methods/__init__.a.csv"):
        (tmp_path / "fairdistill" / path).write_text("1\n")
        forget()
        before.append(version())
    (tmp_path / "fairdistill" / "loop.amx.csv").write_text("2\n")
    forget()
    before.append(version())
    assert len(set(before)) == 4
    for path in ("loopy.csv", "loop.csv", "loop.txt", "late.csv"):
        (tmp_path / "fairdistill" / path).write_text("1\n")
    forget()
    assert version() == before[-1]
