"""FitNets: the hint, the distillation and the two stages, compared with numpy and scipy."""

import numpy as np
import pytest
import torch
from method_trainings import KINDS, SHORT, differing, fit, interrupted, method_settings, network_settings
from scipy.signal import correlate
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.methods.fitnets import HINT, TRAIN, Regressor, hint_loss
from fairdistill.networks import Output, build_network, freeze
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from fairdistill.settings.networks import TorchVision
from fairdistill.training.engines import load_engine
from fairdistill.training.resume import ResumeState


def maps_of(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def regressed_by_scipy(regressor, maps, padding):
    """The convolution of section 2.2 with a ReLU, one pair of channels after another."""
    weight, bias = (values.detach().numpy() for values in regressor.convolution.parameters())
    padded = np.pad(maps, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    return np.stack(
        [
            [
                np.maximum(0, b + sum(correlate(m, k, mode="valid") for m, k in zip(image, kernels, strict=True)))
                for kernels, b in zip(weight, bias, strict=True)
            ]
            for image in padded
        ]
    )


@pytest.mark.parametrize(
    ("edge", "hint_edge", "kernel", "padding"), [(4, 4, 1, 0), (8, 4, 5, 0), (5, 2, 4, 0), (2, 4, 3, 2), (1, 2, 2, 1)]
)
def test_the_hint_loss_is_half_the_squared_distance_to_the_regressed_map(edge, hint_edge, kernel, padding):
    torch.manual_seed(0)
    regressor = Regressor(torch.Size((3, edge, edge)), torch.Size((5, hint_edge, hint_edge))).double()
    assert tuple(regressor.convolution.weight.shape) == (5, 3, kernel, kernel)
    maps, hint = maps_of(1, 4, 3, edge, edge), abs(maps_of(2, 4, 5, hint_edge, hint_edge))
    expected = regressed_by_scipy(regressor, maps, padding)
    assert expected.shape == hint.shape
    found = regressor(torch.from_numpy(maps))
    assert np.allclose(found.detach(), expected)
    distances = [((h - r) ** 2).sum() / 2 for h, r in zip(hint, expected, strict=True)]
    assert hint_loss(torch.from_numpy(hint), found).item() == pytest.approx(np.mean(distances))


def test_the_hint_loss_is_zero_for_equal_maps_alone():
    maps = torch.from_numpy(maps_of(3, 4, 3, 2, 2))
    assert hint_loss(maps, maps).item() == 0
    assert hint_loss(maps, maps.flip(1)).item() > 0.1


def test_gradient():
    torch.manual_seed(1)
    regressor = Regressor(torch.Size((2, 3, 3)), torch.Size((3, 2, 2))).double()
    hint = torch.from_numpy(maps_of(4, 2, 3, 2, 2)).requires_grad_()
    student = torch.from_numpy(maps_of(5, 2, 2, 3, 3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda maps: hint_loss(hint.detach(), regressor(maps)), student)
    hint_loss(hint, regressor(student)).backward()
    assert hint.grad is None
    assert student.grad.abs().sum() > 0
    assert regressor.convolution.weight.grad.abs().sum() > 0


def make(network, base, size=32, **values):
    torch.manual_seed(0)
    network, base = build_network(network, 3), freeze(build_network(base, 3))
    chosen = method_settings(kind="fitnets", **values)
    label = torch.arange(4) % 3
    return network, base, method_class(chosen)(chosen, Task(3, 2, label, label % 2, size, network, base))


@pytest.mark.parametrize(
    ("kind", "base_kind", "layer", "pair"),
    [
        ("resnet18", "resnet18", None, ("layer2", "layer2")),
        ("shufflenet_v2_x1_0", "resnet50", None, ("stage3", "layer3")),
        ("resnet18", "shufflenet_v2_x1_0", None, ("layer2", "stage2")),
        ("resnet18", "resnet34", "layer3", ("layer3", "layer3")),
    ],
)
@pytest.mark.parametrize(
    ("stem", "base_stem"), [("imagenet", "imagenet"), ("cifar", "imagenet"), ("imagenet", "cifar")]
)
def test_any_pair_of_networks_has_a_hint(kind, base_kind, layer, pair, stem, base_stem):
    network, base, method = make(network_settings(kind, stem), network_settings(base_kind, base_stem), layer=layer)
    assert (*method.layers, *method.base_layers) == pair
    images, label = torch.randn(4, 3, 32, 32), torch.arange(4) % 3
    output = network(images, method.layers)
    batch = Batch(images, label, label % 2, label, method.read_base(base(images, method.base_layers)))
    terms = method.loss(batch, output, HINT)
    assert list(terms) == ["hint"]
    regressed = method.regressor(output.maps[pair[0]])
    assert regressed.shape == batch.base["hint"].shape
    terms["hint"].backward()
    assert network.head.weight.grad is None
    assert network.body.conv1 is not None
    assert sum(weight.grad is not None for weight in network.parameters()) > 5


def test_then_the_logits_are_distilled_with_a_weight_that_falls():
    """Equation 2, by scipy: the cross-entropy of softened probabilities, less the entropy of the base's."""
    _, _, method = make(*(network_settings(KINDS[0], "imagenet") for _ in range(2)), size=8, hint_share=0.5)
    assert [tuple(stage) for stage in method.stages(8)] == [(HINT, 4), (TRAIN, 4)]
    base, logits = (3 * maps_of(6 + i, 9, 3) for i in range(2))
    label = np.arange(9) % 3
    p, log_q = softmax(base / 3, axis=1), log_softmax(logits / 3, axis=1)
    divergence = (-(p * log_q).sum(1) - entropy(p, axis=1)).mean()
    images = torch.zeros(9, 3, 8, 8)
    maps = {"layer2": torch.zeros(9, 128, 1, 1)}
    of_base = method.read_base(Output(torch.zeros(9, 512), torch.from_numpy(base), maps))
    batch = Batch(images, torch.from_numpy(label), torch.from_numpy(label % 2), torch.arange(9), of_base)
    found = []
    for _ in range(8):
        method.order(label, label % 2, np.random.default_rng(0))
        terms = method.loss(batch, Output(torch.zeros(9, 512), torch.from_numpy(logits), {}), TRAIN)
        found.append(terms["distillation"].item() / divergence)
    assert found[4:] == pytest.approx([4, 3, 2, 1])
    assert terms["cross_entropy"].item() == pytest.approx(-log_softmax(logits, axis=1)[np.arange(9), label].mean())


def test_a_hint_with_negative_numbers_is_regressed_without_a_relu():
    """Section 2.2: with the hint's nonlinearity, which MobileNetV2's blocks lack."""
    plain = network_settings(KINDS[0])
    network, base, method = make(plain, TorchVision(kind="mobilenet_v2"))
    images = torch.randn(4, 3, 32, 32)
    assert (base(images, method.base_layers).maps[method.base_layers[0]] < 0).any()
    regressed = method.regressor(network(images, method.layers).maps[method.layers[0]])
    assert (regressed < 0).any()
    network, _, method = make(plain, plain)
    assert (method.regressor(network(images, method.layers).maps[method.layers[0]]) >= 0).all()


def test_a_stage_without_an_epoch_is_refused_when_the_configuration_is_read():
    config = {"architectures": ["resnet"], "methods": ["s"], "training": {"epochs": 1}}
    with pytest.raises(UserError) as error:
        complete(config | {"students": {"s": {"kind": "fitnets"}}})
    assert str(error.value) == (
        "config: students.s leaves the hint stage without an epoch, as hint_share is 0.33 and training.epochs is 1; "
        "raise one of the two, or set hint_share to 0"
    )
    complete(config | {"students": {"s": {"kind": "fitnets", "hint_share": 0}}})
    with pytest.raises(UserError, match=r"^config: students.s leaves the representation without an epoch, as repres"):
        complete(config | {"students": {"s": {"kind": "ffvae"}}})
    complete(config | {"students": {"s": {"kind": "ffvae", "representation_share": 0}}})


@pytest.mark.parametrize(
    ("share", "epochs", "stages"),
    [
        *((0.33, 1, (0, 1)), (0.33, 2, (1, 1)), (0.33, 20, (7, 13)), (0.33, 50, (16, 34))),
        # the head is trained in any case
        *((0.98, 20, (19, 1)), (0.99, 2, (1, 1))),
    ],
)
def test_the_stages_share_the_epochs(share, epochs, stages):
    _, _, method = make(*(network_settings(KINDS[1]) for _ in range(2)), hint_share=share)
    assert tuple(stage.epochs for stage in method.stages(epochs)) == stages


@pytest.fixture(scope="module")
def teacher(tiny):
    network = network_settings(KINDS[0])
    return fit(tiny, {"kind": "erm"}, role="teacher", epochs=6, batch_size=16, network=network).network


METHOD = {"kind": "fitnets", "hint_share": 0.5}


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_the_hint_is_learned_first_and_then_the_classes(tiny, teacher, monkeypatch, engine):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    history = fit(tiny, METHOD, base=teacher, epochs=8, batch_size=16, engine=engine).history
    assert history["hint"].isna().tolist() == [False] * 4 + [True] * 4
    assert history["cross_entropy"].isna().tolist() == [True] * 4 + [False] * 4
    assert history["hint"][3] < 0.9 * history["hint"][0]
    assert history["cross_entropy"][7] < history["cross_entropy"][4]
    assert np.allclose(history["loss"], history[["hint", "cross_entropy", "distillation"]].sum(axis=1))


def trained_weights(network):
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def test_the_hint_stage_leaves_later_layers_as_they_were_and_the_next_one_the_regressor(tiny, teacher, tmp_path):
    states = []
    for before in (2, 3):
        state = ResumeState(tmp_path / f"before{before}", {})
        interrupted(tiny, METHOD, before=before, epochs=4, base=teacher, resume=state)
        states.append(state.restore())
    torch.manual_seed(1)
    network = build_network(SHORT, 3)
    initial = trained_weights(network)
    network.load_state_dict(states[0]["network"])
    changed = differing(initial, trained_weights(network))
    assert {name.split(".")[1] for name in changed} == {"conv1", "stage2", "stage3"}
    after = [{name: state["method"][name] for name in state["method"] if "regressor" in name} for state in states]
    assert differing(*after) == []
    assert len(after[0]) == 2
    assert [state["method"]["begun"].item() for state in states] == [2, 3]


def test_without_a_hint_stage_and_distillation_it_is_cross_entropy(tiny, teacher):
    nothing = {"kind": "fitnets", "hint_share": 0, "kd_weight": 0, "final_kd_weight": 0}
    plain, zero = fit(tiny, {"kind": "erm"}), fit(tiny, nothing, base=teacher)
    assert differing(plain.network, zero.network) == []
    assert (zero.history["distillation"] == 0).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"layer": "layer9"},
            "config: students.s.layer names 'layer9', which the network does not have; choose one of",
        ),
        (
            {"layer": "layer1", "base": {"architecture": "shufflenet"}},
            "config: students.s.layer names 'layer1', but the base has no layer at the same distance from its last",
        ),
        ({"hint_share": 1}, "config: students.s.hint_share is 1; it must be below 1"),
        ({"temperature": 0}, "config: students.s.temperature is 0; it must be above 0"),
        ({"kd_weight": -1}, "config: students.s.kd_weight is -1; it must be at least 0"),
    ],
)
def test_what_is_wrong_is_named_when_the_configuration_is_read(values, words):
    student = {"kind": "fitnets", **values}
    with pytest.raises(UserError) as error:
        complete({"architectures": ["resnet"], "methods": ["s"], "students": {"s": student}})
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


def test_a_layer_that_does_not_exist_is_refused_in_a_training_by_hand():
    with pytest.raises(
        UserError, match=r"^method fitnets: layer names 'layer9', which the network does not have; choo"
    ):
        make(*(network_settings(KINDS[0]) for _ in range(2)), layer="layer9")


def test_the_defaults_are_those_of_the_authors():
    chosen = method_settings(kind="fitnets")
    assert (chosen.temperature, chosen.kd_weight, chosen.final_kd_weight) == (3.0, 4.0, 1.0)
    assert (chosen.layer, chosen.sampling, chosen.base.method) == (None, "plain", "teacher")
