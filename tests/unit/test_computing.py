"""On what a training is computed: the device, the precision, and torch's switches."""

import os

import pytest
import torch

from fairdistill.runtime.errors import UserError
from fairdistill.training.computing import Computing, be_deterministic, choose_device, choose_precision
from fairdistill.training.engines import fast


def test_a_gpu_is_taken_where_there_is_one_and_the_training_may_have_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [choose_device(name).type for name in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [choose_device(name).type for name in ("auto", "cpu")] == ["cpu", "cpu"]
    with pytest.raises(UserError, match=r"^training: device is cuda, but torch sees no GPU; use device: auto or cpu$"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("device", "kind", "native", "wanted"),
    [
        ("cpu", "resnet18", True, "bf16"),
        ("cpu", "resnet18", False, "fp32"),
        ("cpu", "shufflenet_v2_x1_0", True, "bf16"),
        ("cpu", "shufflenet_v2_x1_0", False, "fp32"),
        ("cuda", "shufflenet_v2_x1_0", True, "bf16"),
        ("cuda", "shufflenet_v2_x1_0", False, "fp32"),
        ("cuda", "resnet34", True, "fp32"),
    ],
)
def test_bfloat16_is_taken_where_it_was_measured_to_pay_and_the_hardware_has_it(
    monkeypatch, device, kind, native, wanted
):
    """Whatever the other kind of hardware has; and what a GPU would only emulate does not count."""
    on = {"cpu": native, "cuda": not native} if device == "cpu" else {"cpu": not native, "cuda": native}
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: on["cpu"])
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or on["cuda"]
    )
    assert choose_precision("auto", torch.device(device), fast, kind) == wanted
    for named in ("fp32", "bf16"):
        assert choose_precision(named, torch.device(device), fast, kind) == named


def test_the_log_says_what_a_training_is_computed_on(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"H100 ({device})")
    assert Computing(fast, torch.device("cuda"), "bf16").describe(2) == "the GPU H100 (cuda), in bf16, with 2 threads"
    assert Computing(fast, torch.device("cpu"), "fp32").describe(1) == "the CPU, in fp32, with 1 thread"


@pytest.fixture
def loose(monkeypatch):
    """Torch as it must not be, and afterwards as it was."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.set_deterministic_debug_mode("default")
    torch.set_num_threads(1)
    yield
    torch.set_deterministic_debug_mode(mode)
    torch.set_num_threads(threads)


@pytest.mark.parametrize("workspace", [None, ":16:8"])
def test_torch_repeats_itself_and_rounds_no_more_than_it_is_asked_to(loose, monkeypatch, workspace):
    """The workspace of cuBLAS is the user's, where there is one."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", workspace or "")
    if not workspace:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")

    be_deterministic(2)

    # one of the two that cuBLAS repeats itself with
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == (workspace or ":4096:8")
    with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
        torch.zeros(2).put_(torch.tensor([0, 0]), torch.ones(2))
    assert torch.get_num_threads() == 2
    assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.utils.deterministic.fill_uninitialized_memory
