"""The steps of `benchmarks.gpu_steps`, built on a CPU, and its tables; what it times needs a GPU."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from benchmarks import gpu_steps
from benchmarks.cases import Dataset
from benchmarks.gpu_steps import LAYOUTS, PRECISIONS, Case, build, kernel_table, kernels_section, steps_section
from fairdistill.networks import Classifier
from fairdistill.runtime.errors import run_script

CASE = Case("cifar10s", "resnet18", "student", "bf16", "channels last")


def event(key, device, count, microseconds, annotation=False):
    """As torch.profiler averages them."""
    device = SimpleNamespace(name=device)
    return SimpleNamespace(
        key=key,
        device_type=device,
        count=count,
        self_device_time_total=microseconds,
        is_user_annotation=annotation,
    )


def test_kernels_are_counted_for_a_step_the_slowest_first_and_none_twice():
    events = [
        event("aten::add", "CPU", 10, 40),
        event("add", "CUDA", 10, 40),
        event("Optimizer.step", "CUDA", 5, 500, annotation=True),
        event("conv", "CUDA", 5, 1000),
        event("memset", "CUDA", 5, 0),
    ]
    table = kernel_table(events, 5)
    assert table.to_dict("list") == {"kernel": ["conv", "add"], "per_step": [1, 2], "us": [200, 8]}


def test_the_averages_of_torchs_profiler_have_what_is_read_of_them():
    activities = [torch.profiler.ProfilerActivity.CPU]
    # without acc_events torch 2.11 warns of what matters to several cycles alone
    with (
        torch.profiler.profile(activities=activities, acc_events=True) as profiler,
        torch.profiler.record_function("marked"),
    ):
        torch.ones(3) + 1
    found = {average.key: average for average in profiler.key_averages()}
    assert found["marked"].is_user_annotation
    assert not found["aten::add"].is_user_annotation
    assert (found["aten::add"].count, found["aten::add"].self_device_time_total) == (1, 0)
    assert found["aten::add"].device_type.name == "CPU"


def test_the_kernels_that_are_left_out_count_in_the_sum():
    kernels = pd.DataFrame({"kernel": ["a" * 300, "b", "c"], "per_step": [1.0, 20.0, 4.0], "us": [1500.0, 700.0, 34.0]})
    text = kernels_section(CASE, kernels, most=2)
    head, _, total, _, *table = text.split("\n")
    assert head == "## cifar10s, resnet18, student, bf16, channels last"
    assert total == "2.23 ms in 25 kernels a step"
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]] == [
        ["1500.0", "1.0", f"`{'a' * 100}`"],
        ["700.0", "20.0", "`b`"],
    ]


def test_a_row_of_the_page_is_a_case_with_both_times_and_their_ratio():
    line = steps_section(pd.DataFrame([CASE._asdict() | {"eager_ms": 11.113, "recorded_ms": 1.706}])).split("\n")[-1]
    assert [cell.strip() for cell in line.strip("|").split("|")] == [*CASE, "11.11", "1.71", "6.5x"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_is_computed_as_its_case_says(monkeypatch, precision, layout):
    monkeypatch.setattr(gpu_steps, "BATCH_SIZE", 8)
    monkeypatch.setattr(gpu_steps, "BATCHES", 2)
    monkeypatch.setitem(gpu_steps.DATASETS, "tiny", Dataset(32, 3, 2, 1000, 100))
    seen = []

    def watch(network, inputs, output):
        weight = network.get_parameter("body.conv1.0.weight")
        seen.append([network.bf16, *(x.is_contiguous(memory_format=torch.channels_last) for x in (weight, inputs[0]))])

    step, batches = build(Case("tiny", "shufflenet_v2_x1_0", "student", precision, layout), torch.device("cpu"))
    handle = torch.nn.modules.module.register_module_forward_hook(
        lambda module, inputs, output: watch(module, inputs, output) if isinstance(module, Classifier) else None
    )
    try:
        terms = step(*batches[0])
    finally:
        handle.remove()
    assert len(batches) == 2
    assert seen == [[precision == "bf16", *[layout == "channels last"] * 2]]
    assert {"loss", "cross_entropy", "mfd", "correct"} == terms.keys()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["gpu_steps", "--output", str(tmp_path / "steps.md")])
    with pytest.raises(SystemExit, match=r"^error: benchmarks\.gpu_steps measures a GPU, and torch sees none$"):
        run_script(gpu_steps.main)
    assert not any(tmp_path.iterdir())
