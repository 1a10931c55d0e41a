"""The fast engine against the reference engine."""

import copy

import pytest
import torch

from fairdistill.methods import Shape, build_method
from fairdistill.methods.base import Batch
from fairdistill.methods.mfd import mfd_loss
from fairdistill.networks import build_model
from fairdistill.training.engines import ENGINES, load_engine, reference
from fairdistill.training.engines.adam import ChannelsLastAdam
from fairdistill.training.engines.shuffle import ChannelsLastBlock, use_channels_last_shuffle
from fairdistill.training.loop import TrainingSettings, train

CPU = torch.device("cpu")
WIDTH = {"resnet18": 512, "shufflenet_v2_x1_0": 1024}


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


@pytest.mark.parametrize("kernel", ["rbf", "polynomial"])
def test_both_give_the_same_loss_and_gradient(kernel):
    torch.manual_seed(0)
    teacher = torch.randn(32, 5, dtype=torch.float64)
    student = torch.randn(32, 5, dtype=torch.float64, requires_grad=True)
    label, group = torch.arange(32) % 3, torch.arange(32) % 7 % 2
    group[label == 2] = 0  # an empty cell
    values = [
        loss(teacher, student, label, group, n_classes=3, n_groups=2, kernel=kernel)
        for loss in (mfd_loss, reference.mfd_loss_by_cells)
    ]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value, student)[0] for value in values))


@pytest.mark.parametrize("kind", ["resnet18", "shufflenet_v2_x1_0"])
def test_the_first_steps_losses_agree(tiny, kind):
    """In fp32 with equal batches, to 1e-4, each step from the same weights.

    Left to themselves the two would part: in Adam's first steps a gradient that is all rounding moves its weight as
    far as any other.
    """
    architecture, shape = {"kind": kind}, Shape(3, 2, WIDTH[kind], WIDTH[kind])
    torch.manual_seed(0)
    teacher, student = (build_model(architecture, 3) for _ in range(2))
    order, flips = torch.arange(96).flip(0), torch.arange(96) % 2 == 0
    sides = {}
    for name in ENGINES:
        engine = load_engine(name)
        images = engine.Images(tiny, "train", CPU)
        outputs = engine.TeacherOutputs(copy.deepcopy(teacher), images, flip=True)
        model, objective = engine.prepare(copy.deepcopy(student).train(), build_method({"kind": "mfd"}, shape), CPU)
        sides[name] = images, outputs, model, objective, torch.optim.Adam(model.parameters(), lr=1e-3)
    for batches in zip(*(sides[name][0].batches(order, flips, 32) for name in sides), strict=True):
        losses = []
        for (images, outputs, model, objective, adam), (positions, flip, pictures) in zip(
            sides.values(), batches, strict=True
        ):
            batch = Batch(images.label[positions], images.group[positions])
            terms = objective.loss(batch, model(pictures), outputs(positions, flip, pictures))
            losses.append(torch.stack(list(terms.values())).detach())
            adam.zero_grad()
            sum(terms.values()).backward()
            adam.step()
        torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)
        sides["reference"][2].load_state_dict(sides["fast"][2].state_dict())


def test_a_channels_last_shuffle_changes_no_bit():
    torch.manual_seed(0)
    plain = build_model({"kind": "shufflenet_v2_x1_0"}, 3).double()
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


def test_the_reference_engine_trains(tiny):
    settings = TrainingSettings(epochs=6, batch_size=16, device="cpu", engine="reference")
    architecture = {"kind": "shufflenet_v2_x1_0", "stem": "cifar"}
    trained = train(tiny, architecture, {"kind": "scratch"}, settings, role="teacher", seed=0)
    assert trained.history["loss"].iloc[-1] < trained.history["loss"].iloc[0] / 2
