"""The fast engine compared with the reference engine."""

import copy
import ctypes
import io
import mmap
import platform
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.models.shufflenetv2 import InvertedResidual

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.methods.mfd import Kernel, mfd_loss, mfd_loss_by_cells
from fairdistill.networks import build_network
from fairdistill.settings.methods import At, Erm, Kd, Mfd
from fairdistill.settings.networks import ResNet18, ShuffleNetV2
from fairdistill.settings.training import Training
from fairdistill.training.engines import base as base_engine
from fairdistill.training.engines import fast, load_engine, memory, reference
from fairdistill.training.engines.adam import ChannelsLastAdam, RecordableAdam
from fairdistill.training.engines.convolution import CroppedConv2d, FastConv2d
from fairdistill.training.engines.normalisation import FastBatchNorm2d, use_fast_batch_norm
from fairdistill.training.engines.shuffle import ChannelsLastBlock, use_channels_last_shuffle
from fairdistill.training.loop import _scale_learning_rate, train

CPU = torch.device("cpu")
ENGINES = Training.engines
RESNET, SHUFFLENET = ResNet18(kind="resnet18"), ShuffleNetV2(kind="shufflenet_v2_x1_0")
# whose maps of images of 8 px have more than one pixel
CIFAR_STEM = ShuffleNetV2(kind="shufflenet_v2_x1_0", stem="cifar")
MFD, FLATTENED = Mfd(kind="mfd"), Mfd(kind="mfd", features="flattened")


@pytest.fixture(autouse=True)
def without_workers(monkeypatch):
    monkeypatch.setattr(reference, "WORKERS", 0)


@pytest.mark.parametrize("flip", [False, True])
def test_both_give_the_same_batches(tiny, flip):
    order = torch.randperm(96, generator=torch.Generator().manual_seed(0))
    flips = torch.arange(96) % 3 == 0 if flip else None
    fast, plain = (load_engine(name).Images(tiny, "train", CPU).batches(order, flips, 40) for name in ENGINES)
    for (positions, flipped, images), (want_positions, want_flipped, want) in zip(fast, plain, strict=True):
        assert torch.equal(positions, want_positions)
        assert flipped is None or torch.equal(flipped, want_flipped)
        torch.testing.assert_close(images, want, check_stride=False)


@pytest.mark.parametrize("name", ENGINES)
def test_batches_draw_nothing_from_the_numbers_that_a_training_draws_from(tiny, name):
    images, before = load_engine(name).Images(tiny, "train", CPU), torch.get_rng_state()
    for _ in images.batches(torch.arange(len(images)), None, 40):
        pass
    assert torch.equal(torch.get_rng_state(), before)
    # half a million pixels
    assert images.inference_batch == 2**19 // images.size**2


def test_the_fast_engine_reads_the_images_where_they_lie_and_lets_go_of_them_after_each_batch(tiny):
    """On a CPU; a data set may be larger than the memory."""
    images, advice = fast.Images(tiny, "train", CPU), []
    assert np.shares_memory(images.pixels.numpy(), tiny.images)
    assert isinstance(images.mapped, mmap.mmap)

    class Mapped(mmap.mmap):
        def madvise(self, option):
            advice.append(option)

    images.mapped = Mapped(-1, 1)
    list(images.batches(torch.arange(5), None, 2))
    assert advice == [mmap.MADV_DONTNEED] * 3


def test_the_fast_engine_fits_a_network_to_a_cpu(monkeypatch):
    """In the layout that it likes, with its own modules and optimiser."""
    asked = []
    monkeypatch.setattr(fast, "keep_freed_memory", lambda: asked.append("memory"))
    network, _ = fast.prepare(build_network(SHUFFLENET, 3), torch.nn.Identity(), CPU, 32)
    assert asked == ["memory"]
    kinds = {type(module) for module in network.modules()}
    assert {FastConv2d, CroppedConv2d, ChannelsLastBlock} <= kinds
    assert not {torch.nn.Conv2d, InvertedResidual} & kinds
    kernels = [weight for weight in network.parameters() if weight.ndim == 4]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    assert type(fast.optimizer(kernels, CPU, learning_rate=0.1, weight_decay=0.0)) is ChannelsLastAdam


@pytest.mark.parametrize(("edge", "count"), [(8, 16384), (100, 125)])
def test_a_gpu_classifies_as_many_images_at_a_time_as_make_a_million_pixels(tiny, monkeypatch, edge, count):
    """But no fewer than a CPU."""
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: tensor)
    images = np.broadcast_to(np.uint8(0), (len(tiny.images), edge, edge, 3))
    found = base_engine.Images(replace(tiny, images=images), "train", torch.device("cuda"))
    assert found.inference_batch == count


def test_the_fast_engine_records_the_steps_of_a_gpu_alone(monkeypatch):
    monkeypatch.setattr(fast, "RecordedStep", lambda step: ("recorded", step))
    assert [fast.record(len, torch.device(name)) for name in ("cpu", "cuda")] == [len, ("recorded", len)]


@pytest.mark.parametrize("kernel", ["rbf", "polynomial"])
def test_both_give_the_same_loss_and_gradient(kernel):
    torch.manual_seed(0)
    teacher = torch.randn(32, 5, dtype=torch.float64)
    student = torch.randn(32, 5, dtype=torch.float64, requires_grad=True)
    label, group = torch.arange(32) % 3, torch.arange(32) % 7 % 2
    group[label == 2] = 0  # an empty cell
    values = [
        loss(teacher, student, label, group, n_classes=3, n_groups=2, kernel=Kernel(kernel))
        for loss in (mfd_loss, mfd_loss_by_cells)
    ]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value, student)[0] for value in values))


@pytest.mark.parametrize(
    ("network_settings", "settings"),
    [
        (RESNET, MFD),
        (SHUFFLENET, MFD),
        (CIFAR_STEM, FLATTENED),
        (SHUFFLENET, Kd(kind="kd")),
        (CIFAR_STEM, At(kind="at")),
    ],
)
def test_the_first_steps_losses_agree(tiny, network_settings, settings):
    """In fp32 with equal batches, to 1e-4, each step from the same weights.

    Left to themselves the two would part: in Adam's first steps a gradient that is all rounding moves its weight as
    far as any other.
    """
    torch.manual_seed(0)
    base, student = (build_network(network_settings, 3) for _ in range(2))
    order, flips = torch.arange(96).flip(0), torch.arange(96) % 2 == 0
    sides = {}
    for name in ENGINES:
        engine = load_engine(name)
        images = engine.Images(tiny, "train", CPU)
        method = method_class(settings)(settings, Task(3, 2, images.label, images.group, images.size, student, base))
        ask_base = engine.BaseOutputs(copy.deepcopy(base), method, images, flip=True)
        network, method = engine.prepare(copy.deepcopy(student).train(), method, CPU, images.size)
        sides[name] = images, ask_base, network, method, torch.optim.Adam(network.parameters(), lr=1e-3)
    for batches in zip(*(sides[name][0].batches(order, flips, 32) for name in sides), strict=True):
        losses = []
        for (images, ask_base, network, method, adam), (positions, flip, pixels) in zip(
            sides.values(), batches, strict=True
        ):
            label, group = images.label[positions], images.group[positions]
            batch = Batch(pixels, label, group, positions, ask_base(positions, flip, pixels))
            step = method.update(network, batch, {"adam": adam}, "train")
            losses.append(torch.stack(list(step.terms.values())).detach())
        assert (losses[0] > 0).all()
        torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)
        sides["reference"][2].load_state_dict(sides["fast"][2].state_dict())


def test_a_channels_last_shuffle_changes_no_bit():
    torch.manual_seed(0)
    plain = build_network(SHUFFLENET, 3).double()
    ours = copy.deepcopy(plain)
    use_channels_last_shuffle(ours)
    assert any(isinstance(module, ChannelsLastBlock) for module in ours.modules())
    images = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    outputs = [model(images) for model in (plain, ours)]
    for output in outputs:
        output.logits.square().sum().backward()
    torch.testing.assert_close(*(output.logits for output in outputs))
    for parameters in zip(plain.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(*(parameter.grad for parameter in parameters))


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fast_batch_norm_changes_no_bit(size, dtype):
    torch.manual_seed(0)
    plain = torch.nn.BatchNorm2d(24)
    torch.nn.init.uniform_(plain.weight)
    fast_one = torch.nn.Sequential(copy.deepcopy(plain))
    use_fast_batch_norm(fast_one)
    assert type(fast_one[0]) is FastBatchNorm2d
    pixels, gradient = torch.randn(2, 16, size, size, 24, dtype=dtype).unbind()
    ends = []
    for module in (plain, fast_one):
        images = pixels.permute(0, 3, 1, 2).detach().requires_grad_()
        out = module(images)
        out.backward(gradient.permute(0, 3, 1, 2))
        module.eval()
        ends.append([out, images.grad, module(images), *(weight.grad for weight in module.parameters())])
        ends[-1] += list(module.buffers())
    assert all(torch.equal(*pair) for pair in zip(*ends, strict=True))


def test_batch_norm_of_single_pixels_has_images_and_gradients_in_one_layout():
    """Whatever theirs were; torch takes twelve times as long where they differ."""
    norm = torch.nn.Sequential(torch.nn.BatchNorm2d(8))
    use_fast_batch_norm(norm)
    images = torch.randn(4, 1, 1, 8).permute(0, 3, 1, 2).requires_grad_()
    out = norm(images)
    assert out.shape == images.shape
    seen = []
    vectors = out.grad_fn.next_functions[0][0].next_functions[0][0]
    assert "BatchNorm" in vectors.name()
    vectors.register_prehook(lambda gradients: seen.append(gradients[0].shape))
    out.sum().backward()
    assert seen == [(4, 8)]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_on_channels_last_weights_changes_no_bit(weight_decay):
    torch.manual_seed(0)
    shapes = [(8, 4, 3, 3), (8, 1, 3, 3), (8, 4, 1, 1), (5, 8), (5,)]
    plain = [torch.randn(shape).requires_grad_() for shape in shapes]
    ours = [copy.deepcopy(weight.detach()) for weight in plain]
    ours = [w.contiguous(memory_format=torch.channels_last) if w.ndim == 4 else w for w in ours]
    ours = [weight.requires_grad_() for weight in ours]
    adams = (
        torch.optim.Adam(plain, lr=0.01, weight_decay=weight_decay, fused=True),
        ChannelsLastAdam(ours, lr=0.01, weight_decay=weight_decay),
    )
    for step in range(3):
        for weights, adam in zip((plain, ours), adams, strict=True):
            adam.zero_grad()
            # the last weight has no gradient at first
            sum((w.sin() * (i + step)).sum() for i, w in enumerate(weights) if step or i < 4).backward()
            adam.step()
    for weights in zip(plain, ours, strict=True):
        assert torch.equal(*weights)


def test_adam_takes_gradients_of_any_layout():
    """As a method may set them, which autograd did not accumulate."""
    kernel = torch.randn(8, 4, 3, 3)
    kernels = kernel.contiguous(memory_format=torch.channels_last), kernel.clone()
    gradient = torch.randn(8, 4, 3, 3)
    moved = []
    for weight in kernels:
        for given in (gradient, gradient.contiguous(memory_format=torch.channels_last)):
            mine = weight.clone().requires_grad_()
            mine.grad = given
            ChannelsLastAdam([mine], lr=0.01).step()
            moved.append(mine.detach())
    # the first step of Adam has the size of the learning rate
    torch.testing.assert_close(moved[0], kernel - 0.01 * gradient.sign(), rtol=0, atol=1e-4)
    assert all(torch.equal(moved[0], other) for other in moved)


def test_adam_has_the_weights_and_gradients_in_the_order_of_their_memory(monkeypatch):
    """Others would be copied there and back in each step."""
    plain = [torch.randn(shape) for shape in [(8, 4, 3, 3), (8, 4, 3, 3), (5, 8)]]
    weights = [plain[0].contiguous(memory_format=torch.channels_last).requires_grad_()]
    weights += [weight.requires_grad_() for weight in plain[1:]]
    given = []
    monkeypatch.setattr(torch, "_fused_adam_", lambda *lists, **options: given.extend(lists))
    adam = ChannelsLastAdam(weights, lr=0.01)
    sum(weight.square().sum() for weight in weights).backward()
    adam.step()
    for tensors in given[:4]:
        assert [tuple(values.shape) for values in tensors] == [(8, 3, 3, 4), (8, 4, 3, 3), (5, 8)]
        assert all(values.is_contiguous() for values in tensors)


def test_adam_goes_on_from_its_state_to_the_bit():
    torch.manual_seed(0)
    kernel = torch.randn(8, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    # the last weight is never given a gradient
    starts = [kernel, torch.randn(5), torch.randn(5)]

    def optimiser(values):
        weights = [value.clone().requires_grad_() for value in values]
        return ChannelsLastAdam(weights, lr=0.01, weight_decay=0.1), weights

    adam, weights = optimiser(starts)
    descend(adam, weights[:2], [0.5])
    written = io.BytesIO()
    torch.save(adam.state_dict(), written)
    written.seek(0)
    other, its_weights = optimiser(weight.detach() for weight in weights)
    other.load_state_dict(torch.load(written, weights_only=True))
    descend(adam, weights[:2], [0.25, 0.1])
    descend(other, its_weights[:2], [0.25, 0.1])
    assert all(torch.equal(*pair) for pair in zip(weights, its_weights, strict=True))
    assert other.param_groups[0]["lr"] == adam.param_groups[0]["lr"] == pytest.approx(0.001)


def test_adam_goes_on_from_the_state_of_torchs_to_the_bit():
    """As a training that an earlier version began has it."""
    torch.manual_seed(0)
    weights = [torch.randn(shape).requires_grad_() for shape in [(5, 8), (5,)]]
    adam = torch.optim.Adam(weights, lr=0.01, weight_decay=0.1, fused=True)
    descend(adam, weights, [0.5])
    its_weights = [weight.detach().clone().requires_grad_() for weight in weights]
    other = ChannelsLastAdam(its_weights, lr=0.02)
    other.load_state_dict(copy.deepcopy(adam.state_dict()))
    descend(adam, weights, [0.25, 0.1])
    descend(other, its_weights, [0.25, 0.1])
    assert all(torch.equal(*pair) for pair in zip(weights, its_weights, strict=True))


def recordable():
    """An optimiser of two weights, and the weights."""
    torch.manual_seed(0)
    weights = [torch.randn(shape).requires_grad_() for shape in [(5, 8), (5,)]]
    return RecordableAdam(weights, CPU, lr=0.01, weight_decay=0.1), weights


def descend(adam, weights, factors):
    for factor in factors:
        _scale_learning_rate(adam, factor)
        adam.zero_grad()
        sum(weight.sin().sum() for weight in weights).backward()
        adam.step()


def test_a_recordable_adam_follows_the_schedule_without_moving_its_learning_rate():
    """A CUDA graph would go on reading the tensor that was there when it was recorded."""
    adam, weights = recordable()
    rate = adam.param_groups[0]["lr"]
    plain = [weight.detach().clone().requires_grad_() for weight in weights]
    other = torch.optim.Adam(plain, lr=0.01, weight_decay=0.1, fused=True)
    for steps in [(1.0, 0.5), (0.25,)]:
        descend(adam, weights, steps)
        descend(other, plain, steps)
        assert adam.param_groups[0]["lr"] is rate
        assert rate.item() == pytest.approx(other.param_groups[0]["lr"])
    # the one has its learning rate in float32, the other in Python's double precision
    torch.testing.assert_close(weights, plain, rtol=1e-6, atol=1e-7)


def test_a_recordable_adam_is_resumed_to_the_bit():
    whole, weights = recordable()
    descend(whole, weights, [1.0, 0.5, 0.25])
    first, at_first = recordable()
    descend(first, at_first, [1.0, 0.5])
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    resumed = RecordableAdam(at_first, CPU, lr=0.01, weight_decay=0.1)
    resumed.load_state_dict(torch.load(file))
    assert resumed.param_groups[0]["full_lr"] == pytest.approx(0.01)
    descend(resumed, at_first, [0.25])
    assert all(torch.equal(*pair) for pair in zip(weights, at_first, strict=True))


def test_a_resumed_learning_rate_is_on_the_device_where_a_recorded_step_reads_it():
    """What is saved comes back on the CPU; "meta" is a device that every machine has."""
    saved, weights = recordable()
    descend(saved, weights, [1.0])
    adam, _ = recordable()
    adam.device = torch.device("meta")
    adam.load_state_dict(saved.state_dict())
    assert adam.param_groups[0]["lr"].device.type == "meta"


def test_the_reference_engine_trains(tiny):
    settings = Training(epochs=6, batch_size=16, device="cpu", engine="reference")
    trained = train(tiny, CIFAR_STEM, Erm(kind="erm"), settings, role="teacher", seed=0)
    assert trained.history["loss"].iloc[-1] < trained.history["loss"].iloc[0] / 2


@pytest.mark.parametrize(("library", "asked"), [("glibc", {-4: 0, -1: 2147483647}), ("", {})])
def test_glibc_keeps_what_a_training_frees(monkeypatch, library, asked):
    """The keys are M_MMAP_MAX and M_TRIM_THRESHOLD of its malloc.h: no mappings, and no trimming of the heap."""
    found = {}

    class Library:
        def __init__(self, name):
            assert name is None

        def mallopt(self, option, value):
            found[option] = value

    monkeypatch.setattr(platform, "libc_ver", lambda: (library, "2.36"))
    monkeypatch.setattr(ctypes, "CDLL", Library)
    memory.keep_freed_memory()
    assert found == asked
