"""What a process loads, and when Python looks for garbage in it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TRAINING = """
import sys
from fairdistill.training.job import run_training
from scripts.train_model import read_job
run_training(read_job(sys.argv[1:]))
print([name for name in ("torch", "torchvision", "torch._dynamo") if name in sys.modules])
"""
ASKED_LATER = """
import sys
import fairdistill.networks
before = "torch._dynamo" in sys.modules
answer = sys.modules["torchvision.ops.roi_align"].is_compile_supported("cpu")
import torch
print(before, type(answer), torch._dynamo.utils.is_compile_supported("cpu") == answer)
"""
ASKED_BEFORE = """
import sys
import torch._dynamo
import fairdistill.networks
print(sys.modules["torchvision.ops.roi_align"].is_compile_supported is torch._dynamo.utils.is_compile_supported)
"""
SCRIPT = """
import gc
print(gc.isenabled())
from fairdistill.runtime.errors import run_script
run_script(lambda: print(gc.isenabled(), gc.get_freeze_count() > 1000))
"""


def python(*arguments, cwd=ROOT):
    """What a process of Python's prints."""
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.strip().splitlines()


@pytest.mark.parametrize("network", ["resnet18", "shufflenet_v2_x1_0"])
def test_a_training_does_without_torchs_compiler(tiny_folder, tmp_path, network):
    """It would take a second and 140 MB in each."""
    options = ["--data", tiny_folder, "--output", tmp_path / "out", "--network", network]
    options += ["--training", '{"epochs": 1, "batch_size": 32, "device": "cpu"}']
    assert python("-c", TRAINING, *map(str, options))[-1] == "['torch', 'torchvision']"


def test_torchvision_still_finds_the_compiler():
    assert python("-c", ASKED_LATER) == ["False <class 'bool'> True"]
    assert python("-c", ASKED_BEFORE) == ["True"]


def test_a_torchvision_that_calls_the_compiler_at_once_gets_it(tmp_path):
    package = tmp_path / "torchvision"
    package.mkdir()
    lines = ["import torch._dynamo", "from torch._dynamo import disable", "def function(x): return x + 1"]
    (package / "__init__.py").write_text("\n".join([*lines, "compiled = disable(function)\n"]))
    copied = (ROOT / "fairdistill" / "networks" / "torchvision_import.py").read_text()
    (tmp_path / "importing.py").write_text(copied)
    code = "import importing, sys, torchvision; print(torchvision.compiled(2), 'torch._dynamo' in sys.modules)"
    assert python("-c", code, cwd=tmp_path) == ["3 True"]


def test_a_script_collects_garbage_once_it_has_imported_everything(tmp_path):
    package = tmp_path / "scripts"
    package.mkdir()
    (package / "__init__.py").write_text((ROOT / "scripts" / "__init__.py").read_text())
    (package / "one.py").write_text(SCRIPT)
    assert python("-m", "scripts.one", cwd=tmp_path) == ["False", "True True"]
    # what imports a script, as these tests do, goes on as it was
    code = "import scripts, gc\nfrom fairdistill.runtime.imports import *\nwith uncollected(): pass\n"
    assert python("-c", code + "print(gc.isenabled(), gc.get_freeze_count())") == ["True 0"]
    assert python("-c", "import gc; gc.disable()\n" + code + "print(gc.isenabled())") == ["False"]
