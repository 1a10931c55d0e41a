"""Processes that start at once share fake GPUs as they are told to."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from fake_gpus import fake_gpus, uuid, write_program

from fairdistill.runtime import devices
from fairdistill.runtime.devices import visible_gpus
from fairdistill.runtime.errors import UserError
from fairdistill.training import job, publish
from fairdistill.training.failures import explained
from fairdistill.training.job import run_training
from scripts import train_model

ROOT = Path(__file__).parents[2]
# waits for a line, takes a GPU, says which, and keeps it until the input ends
TAKES = """import os, sys
from fairdistill.runtime import devices
devices.PAUSE = 0.02
sys.stdin.readline()
devices.take_gpu(int(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A function that starts a process which will take a GPU; all are ended at the end."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", f"test{os.getpid()}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    started = []

    def start_one(slots):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([sys.executable, "-c", TAKES, str(slots)], cwd=ROOT, text=True, **pipes)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def go(processes):
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def gpu_of(process):
    return process.stdout.readline().strip()


@pytest.mark.parametrize(("gpus", "slots"), [(1, 1), (4, 1), (2, 3)])
def test_processes_that_start_at_once_fill_every_slot_once(start, tmp_path, gpus, slots):
    fake_gpus(tmp_path, gpus)
    processes = [start(slots) for _ in range(gpus * slots)]
    go(processes)
    assert Counter(gpu_of(process) for process in processes) == {uuid(gpu): slots for gpu in range(gpus)}


def test_every_gpu_gets_a_training_before_one_gets_two(start, tmp_path):
    fake_gpus(tmp_path, 3)
    processes = [start(2) for _ in range(3)]
    go(processes)
    assert {gpu_of(process) for process in processes} == {uuid(0), uuid(1), uuid(2)}


@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_who_finds_all_taken_waits_until_a_process_ends_or_is_killed(start, tmp_path, end):
    fake_gpus(tmp_path, 2)
    holders = [start(1), start(1)]
    go(holders)
    held = {gpu_of(process): process for process in holders}
    late = start(1)
    go([late])
    with pytest.raises(subprocess.TimeoutExpired):
        late.wait(timeout=1)
    if end:
        held[uuid(1)].send_signal(end)
    else:
        held[uuid(1)].stdin.close()
    assert gpu_of(late) == uuid(1)


@pytest.mark.parametrize("names", ["1", "GPU-{pid}-1", "0, 1"])
def test_one_gpu_under_two_names_is_one(start, tmp_path, monkeypatch, names):
    fake_gpus(tmp_path, 2)
    holders = [start(1), start(1)]
    go(holders)
    held = {gpu_of(process): process for process in holders}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names.format(pid=os.getpid()))
    late = start(1)
    go([late])
    with pytest.raises(subprocess.TimeoutExpired):
        late.wait(timeout=1)
    held[uuid(1)].stdin.close()
    assert gpu_of(late) == uuid(1)


def test_what_a_scheduler_gave_is_left_as_it_is(start, tmp_path, monkeypatch):
    fake_gpus(tmp_path, 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-abc")
    process = start(1)
    go([process])
    assert gpu_of(process) == "GPU-abc"
    # the same name in another job is another GPU
    monkeypatch.setenv("SLURM_JOB_ID", f"other{os.getpid()}")
    other = start(1)
    go([other])
    assert gpu_of(other) == "GPU-abc"


def test_gpus_that_the_user_chose_are_shared_out(start, tmp_path, monkeypatch):
    fake_gpus(tmp_path, 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, 3")
    processes = [start(1), start(1)]
    go(processes)
    assert {gpu_of(process) for process in processes} == {uuid(1), uuid(3)}


@pytest.mark.parametrize(
    ("present", "allowed", "gpus"),
    [
        (2, None, [uuid(0), uuid(1)]),
        (0, None, []),
        (0, "0", []),
        (2, "", []),
        (2, "-1", []),
        (3, "2,-1,0", [uuid(2)]),
        (2, "1,2,0", [uuid(1)]),
        (2, "GPU-{pid}-1,0", [uuid(1), uuid(0)]),
        (1, "MIG-abc", ["MIG-abc"]),
    ],
)
def test_visible_gpus(tmp_path, monkeypatch, present, allowed, gpus):
    fake_gpus(tmp_path, present)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    if allowed is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed.format(pid=os.getpid()))
    assert visible_gpus() == gpus


@pytest.mark.parametrize(
    ("script", "warning"),
    [
        ("exec sleep 60", "did not answer within 0.5 s"),
        (
            "echo Failed to initialize NVML: Driver/library version mismatch; exit 18",
            "lists no GPU, and says: Failed to",
        ),
        # rubbish, which does not reach the terminal as it is
        ("printf '\\377\\033[2J'", "lists no GPU, and says: \ufffd\\x1b[2J"),
    ],
)
def test_of_an_nvidia_smi_that_fails_is_told_and_the_driver_is_asked(tmp_path, monkeypatch, capsys, script, warning):
    write_program(tmp_path / "nvidia-smi", script)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices, "PATIENCE", 0.5)
    monkeypatch.setattr(devices, "LISTED", tmp_path / "gpus")
    assert visible_gpus() == []
    assert f"warning: nvidia-smi {warning}" in capsys.readouterr().err
    for slot, name in (("0000:b3:00.0", "GPU-b"), ("0000:3b:00.0", "GPU-a")):
        (tmp_path / "gpus" / slot).mkdir(parents=True)
        (tmp_path / "gpus" / slot / "information").write_text(
            f"Model: \t\t Fake\nGPU UUID: \t {name}\nBus Type: \t PCIe\n"
        )
    assert visible_gpus() == ["GPU-a", "GPU-b"]


def test_gpus_that_only_torch_sees_are_shared_out_by_their_numbers(monkeypatch, tiny_folder, tmp_path):
    """Neither nvidia-smi nor the driver lists them."""
    monkeypatch.setattr(devices, "visible_gpus", list)
    monkeypatch.setenv("SLURM_JOB_ID", f"numbers{os.getpid()}")
    monkeypatch.setattr(devices, "_taken", [])
    chosen = []
    for name, stand_in in {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "set_device": chosen.append,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(publish, "train_and_publish", lambda job, lock: None)
    for name in ("first", "second"):
        run_training(train_model.read_job(["--data", str(tiny_folder), "--output", str(tmp_path / name)]))
    assert chosen == [0, 1]
    for place in devices._taken:
        place.close()


def test_a_gpu_that_torch_cannot_use_is_told_by_the_training_too(monkeypatch, tiny_folder, tmp_path, capsys):
    """Whoever plans a study with conda has no torch to ask."""
    fake_gpus(tmp_path / "bin", 1)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(devices, "_taken", [])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(publish, "train_and_publish", lambda job, lock: None)
    run_training(train_model.read_job(["--data", str(tiny_folder), "--output", str(tmp_path / "out")]))
    assert "warning: there is a GPU, but torch cannot use it: this training runs on the CPU" in capsys.readouterr().err
    devices._taken[0].close()


@pytest.mark.parametrize(
    ("device", "listed", "usable", "asked", "warned"),
    [
        ("auto", True, True, ["driver, 3 slots"], False),
        ("auto", True, False, ["driver, 3 slots"], True),
        ("auto", False, True, ["driver, 3 slots", "torch, 3 slots"], False),
        ("auto", False, False, ["driver, 3 slots"], False),
        ("cuda", True, False, ["driver, 3 slots"], False),
        ("cpu", True, True, [], False),
        ("cpu", False, False, [], False),
    ],
)
def test_a_training_takes_no_more_than_one_gpu(
    monkeypatch, tiny_folder, tmp_path, capsys, device, listed, usable, asked, warned
):
    """None where it is to run on the CPU; where the driver lists GPUs, torch's numbers are not asked for."""
    found = []
    monkeypatch.setenv("FAIRDISTILL_GPU_SLOTS", "3")
    monkeypatch.setattr(job, "take_gpu", lambda slots: found.append(f"driver, {slots} slots") or listed)
    monkeypatch.setattr(job, "take_slot", lambda gpus, slots: found.append(f"torch, {slots} slots") or 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
    monkeypatch.setattr(publish, "train_and_publish", lambda job, lock: None)
    command = ["--data", str(tiny_folder), "--output", str(tmp_path / "out"), "--training", f'{{"device": "{device}"}}']
    run_training(train_model.read_job(command))
    assert found == asked
    assert ("there is a GPU, but torch cannot use it" in capsys.readouterr().err) == warned


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "the memory of the GPU is full; lower"),
        (
            torch.AcceleratorError("CUDA error: no kernel image is available for execution on the device"),
            r"the GPU fails \(CUDA error: no kernel image is available for execution on the device\);",
        ),
        # of torch's RuntimeErrors, which have no class of their own
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "the memory of the GPU is full; lower"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            "the memory of the GPU is full; lower",
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), r"the GPU fails \(cuDNN error"),
        (RuntimeError("No CUDA GPUs are available"), r"the GPU fails \(No CUDA"),
        (RuntimeError("Found no NVIDIA driver on your system."), r"the GPU fails \(Found no NVIDIA"),
        (
            RuntimeError("CUDA error: an illegal memory access\nCompile with `TORCH_USE_CUDA_DSA`"),
            r"the GPU fails \(CUDA error: an illegal memory access\);",
        ),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate"),
            "the main memory is",
        ),
        (MemoryError(), "the main memory is full; lower"),
    ],
)
def test_what_a_machine_refuses_is_one_line(error, said):
    with pytest.raises(UserError, match=f"^training: {said}"), explained():
        raise error


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), explained():
        raise RuntimeError("shapes do not fit")


def test_the_gpu_is_taken_before_torch_is_loaded():
    code = "import sys; import scripts.train_model; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
