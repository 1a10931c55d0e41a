"""Neuron selectivity transfer, compared with loops in float64 and with sklearn's kernels, for maps of any size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_trainings import KINDS, assert_same_bits, fit, method_settings, network_settings
from sklearn.metrics.pairwise import euclidean_distances, linear_kernel, polynomial_kernel, rbf_kernel

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.methods.nst import PRINTED, comparison, gram, selectivity
from fairdistill.networks import build_network, freeze
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.reading import read_settings
from fairdistill.training.engines import load_engine

KERNELS = ["polynomial", "rbf", "linear"]


def maps_of(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def by_loops(base, student, kernel):
    """The squared MMD as the paper prints it, neuron by neuron and image by image."""

    def patterns(maps):
        return [[channel.ravel() / np.linalg.norm(channel) for channel in image] for image in maps]

    t, s = patterns(base), patterns(student)
    scale = 2 * np.mean([[((x - y) ** 2).sum() for x in a for y in b] for a, b in zip(t, s, strict=True)])

    def k(x, y):
        return {"linear": x @ y, "polynomial": (x @ y) ** 2, "rbf": np.exp(-((x - y) ** 2).sum() / scale)}[kernel]

    def mean_kernel(a, b):
        return sum(k(x, y) for x in a for y in b) / len(a) / len(b)

    return np.mean([mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b) for a, b in zip(t, s, strict=True)])


def mmd(base, student, kernel, *, printed=False):
    """(B,), of maps (B, K, H, W) as tensors."""
    compare = PRINTED[kernel] if printed else comparison(kernel, student.shape[1:])
    return compare.mmd(compare.read(selectivity(base, student.shape[2:])), selectivity(student))


def loss(base, student, kernel, **options):
    return mmd(torch.from_numpy(base), torch.from_numpy(student), kernel, **options).mean().item()


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 4),
    channels=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    size=st.tuples(st.integers(1, 4), st.integers(2, 4)),
)
@settings(max_examples=25)
def test_equals_the_formula_for_any_numbers_of_neurons_and_pixels(printed, kernel, seed, n, channels, size):
    base, student = (maps_of(seed + i, n, k, *size) for i, k in enumerate(channels))
    assert loss(base, student, kernel, printed=printed) == pytest.approx(
        by_loops(base, student, kernel), rel=1e-6, abs=1e-8
    )


@pytest.mark.parametrize("pixels", [(2, 2), (2, 3), (4, 4)])
def test_of_several_images_the_polynomial_kernel_gives_one_value_each(pixels):
    """With fewer pixels than neurons, as many, and more: the first two are computed between pixels."""
    base, student = maps_of(5, 3, 4, *pixels), maps_of(6, 3, 6, *pixels)
    found = mmd(torch.from_numpy(base), torch.from_numpy(student), "polynomial")
    one_by_one = [by_loops(base[[i]], student[[i]], "polynomial") for i in range(3)]
    assert found.tolist() == pytest.approx(one_by_one, rel=1e-6)


def test_equals_the_discrepancies_that_sklearns_kernels_give():
    """MMD^2 as the quadratic form of one kernel matrix over the neurons of both."""
    base, student = maps_of(1, 1, 30, 3, 4), maps_of(2, 1, 20, 3, 4)
    t, s = (selectivity(torch.from_numpy(maps))[0].numpy() for maps in (base, student))
    both, sign = np.concatenate([t, s]), np.concatenate([np.full(30, 1 / 30), np.full(20, -1 / 20)])
    scale = 2 * euclidean_distances(t, s, squared=True).mean()
    matrices = {
        "polynomial": polynomial_kernel(both, degree=2, gamma=1, coef0=0),
        "rbf": rbf_kernel(both, gamma=1 / scale),
        "linear": linear_kernel(both),
    }
    for kernel in KERNELS:
        assert loss(base, student, kernel) == pytest.approx(sign @ matrices[kernel] @ sign, rel=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_is_zero_where_it_has_to_be(kernel):
    base = maps_of(3, 4, 5, 3, 3)
    assert loss(base, base, kernel) == pytest.approx(0, abs=1e-12)
    # in any order of the neurons, of any strengths, and each of them twice
    factors = np.random.default_rng(4).uniform(0.5, 9, size=(4, 5, 1, 1))
    same = (factors * base)[:, ::-1]
    assert loss(base, np.concatenate([same, same], axis=1), kernel) == pytest.approx(0, abs=1e-8)
    # elsewhere in the image
    assert loss(base, base[:, :, ::-1].copy(), kernel) > 1e-3


def test_the_polynomial_kernel_cannot_tell_signs_and_the_others_can():
    base = maps_of(7, 4, 5, 3, 3)
    assert loss(base, -base, "polynomial") == pytest.approx(0, abs=1e-12)
    assert min(loss(base, -base, kernel) for kernel in ("rbf", "linear")) > 1e-3


def test_patterns_are_of_length_one_and_silent_neurons_have_none():
    maps = maps_of(8, 2, 3, 4, 4)
    maps[0, 1] = 0
    patterns = selectivity(torch.from_numpy(maps))
    lengths = patterns.norm(dim=2).numpy()
    assert lengths[0, 1] == 0
    assert np.allclose(np.delete(lengths.ravel(), 1), 1)
    assert np.allclose(gram(patterns)[0], sum(np.outer(p, p) for p in patterns[0].numpy()) / 3)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [(3, 3), (5, 2), (1, 2)])
def test_gradient(kernel, size):
    base, student = torch.from_numpy(maps_of(9, 2, 4, 3, 3)), torch.from_numpy(maps_of(10, 2, 5, *size))
    student.requires_grad_()
    if kernel != "rbf":
        assert torch.autograd.gradcheck(lambda maps: mmd(base, maps, kernel), student)
        return
    target = selectivity(base, student.shape[2:])
    # the bandwidth is held constant: the differences are taken with that of the student as it is
    scale = 2 * np.mean(
        [euclidean_distances(t, s, squared=True) for t, s in zip(target, selectivity(student.detach()), strict=True)]
    )

    def at_this_bandwidth(maps):
        found = 0.0
        for t, s in zip(target.numpy(), selectivity(maps).numpy(), strict=True):
            found += sum(w * rbf_kernel(a, b, gamma=1 / scale).mean() for w, a, b in ((1, t, t), (1, s, s), (-2, t, s)))
        return found

    mmd(base, student, kernel).sum().backward()
    for place in [(0, 0, 0, 0), (1, 4, size[0] - 1, 1), (0, 3, 0, 1)]:
        ends = []
        for step in (1e-6, -1e-6):
            moved = student.detach().clone()
            moved[place] += step
            ends.append(at_this_bandwidth(moved))
        assert student.grad[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("kernel", KERNELS)
def test_silent_neurons_give_no_nan_and_no_gradient_reaches_the_base(kernel):
    base, student = torch.from_numpy(maps_of(11, 2, 4, 3, 3)), torch.zeros(2, 5, 3, 3, dtype=torch.float64)
    student.requires_grad_()
    value = mmd(base, student.relu(), kernel).mean()
    value.backward()
    assert torch.isfinite(student.grad).all()
    assert value.item() > 0


def resizing(size, wanted):
    """(wanted, size): bilinear interpolation along one axis between the centres of pixels, constant beyond them."""
    centres = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    return np.maximum(0, 1 - np.abs(centres[:, None] - np.arange(size)))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("size", "wanted"), [((4, 4), (8, 8)), ((8, 8), (4, 4)), ((3, 5), (7, 4))])
def test_the_bases_maps_are_resized_bilinearly_to_the_students(kernel, size, wanted):
    base, student = maps_of(12, 3, 4, *size), maps_of(13, 3, 6, *wanted)
    rows, columns = (resizing(*pair) for pair in zip(size, wanted, strict=True))
    resized = np.einsum("ih,bkhw,jw->bkij", rows, base, columns)
    assert loss(base, student, kernel) == pytest.approx(by_loops(resized, student, kernel), rel=1e-6)


@pytest.mark.parametrize(
    ("kernel", "channels", "kept"),
    [("linear", 6, (2, 4)), ("polynomial", 6, (2, 10)), ("polynomial", 3, (2, 5, 4)), ("rbf", 6, (2, 5, 4))],
)
def test_of_the_base_is_kept_what_its_kernel_needs(kernel, channels, kept):
    patterns = selectivity(torch.from_numpy(maps_of(14, 2, 5, 2, 2)))
    assert comparison(kernel, (channels, 2, 2)).read(patterns).shape == kept


def make(network, base, size=32, **values):
    torch.manual_seed(0)
    network, base = build_network(network, 3), freeze(build_network(base, 3))
    chosen = method_settings(kind="nst", **values)
    label = torch.arange(4) % 3
    return network, base, method_class(chosen)(chosen, Task(3, 2, label, label % 2, size, network, base))


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("stem", "base_stem"), [("cifar", "cifar"), ("cifar", "imagenet")])
def test_any_pair_of_networks_can_be_compared_at_named_layers(kernel, stem, base_stem, printed):
    network, base, method = make(
        network_settings(KINDS[0], stem),
        network_settings(KINDS[1], base_stem),
        kernel=kernel,
        layers=["layer3"],
        beta=8.0,
    )
    assert method.pairs == {"layer3": "stage3"}
    if printed:
        method.use_printed_formula()
    images, label = torch.randn(4, 3, 32, 32), torch.arange(4) % 3
    with torch.no_grad():
        of_base = base(images, method.base_layers)
    output = network(images, method.layers)
    terms = method.loss(Batch(images, label, label % 2, label, method.read_base(of_base)), output, "train")
    student = output.maps["layer3"].detach().double().numpy()
    teacher = of_base.maps["stage3"].double().numpy()
    matrices = [resizing(*pair) for pair in zip(teacher.shape[2:], student.shape[2:], strict=True)]
    teacher = np.einsum("ih,bkhw,jw->bkij", matrices[0], teacher, matrices[1])
    found = [torch.from_numpy(maps) for maps in (teacher, student)]
    expected = 8 * mmd(*found, kernel, printed=True).mean().item()
    assert terms["transfer"].item() == pytest.approx(expected, rel=1e-3, abs=1e-4)
    terms["transfer"].backward()
    assert sum(weight.grad is not None for weight in network.parameters()) > 10


def test_all_layers_that_both_have_are_compared_by_default():
    _, _, method = make(network_settings(KINDS[0]), network_settings(KINDS[1]))
    assert method.pairs == {"layer2": "stage2", "layer3": "stage3", "layer4": "stage4"}
    chosen = method_settings(kind="nst")
    assert (chosen.beta, chosen.kernel, chosen.sampling) == (50.0, "polynomial", "plain")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"layers": ["layer9"]},
            "config: students.s.layers names 'layer9', which the network does not have; choose one",
        ),
        ({"kernel": "cubic"}, 'config: students.s.kernel is "cubic"; choose one of polynomial, rbf, linear'),
        ({"beta": -1}, "config: students.s.beta is -1; it must be at least 0"),
    ],
)
def test_what_is_wrong_is_named_when_the_configuration_is_read(values, words):
    student = {"kind": "nst", **values}
    with pytest.raises(UserError) as error:
        complete({"architectures": ["resnet"], "methods": ["s"], "students": {"s": student}})
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


def test_layers_with_maps_of_one_pixel_are_left_out_and_refused_where_they_are_named():
    """Of 32 px and ImageNet's stem: 8, 4, 2 and 1 pixels in a ResNet, of 8 px: 2, 1, 1 and 1."""
    networks = network_settings(KINDS[0], "imagenet"), network_settings(KINDS[0], "imagenet")
    assert make(*networks)[2].layers == ["layer1", "layer2", "layer3"]
    assert make(*networks, size=8)[2].layers == ["layer1"]
    with pytest.raises(UserError) as error:
        make(*networks, layers=["layer2", "layer4"])
    assert str(error.value) == (
        "method nst: layers names 'layer4', whose map, or that of the base's layer, has one pixel for images of 32 px, "
        "which does not say where in an image the layer is active; name an earlier layer, or take larger images "
        "(image_size, crop), or another network or stem"
    )
    with pytest.raises(UserError) as error:
        make(*networks, size=4)
    assert str(error.value) == (
        "method nst: layers can have none, as all maps of the network, or of its base's, have one pixel for images of "
        "4 px, which does not say where in an image the layer is active; take larger images (image_size, "
        "crop), or another network or stem"
    )
    # the base's, too
    with pytest.raises(UserError, match=r"^method nst: layers names 'layer4', whose map, or that of the base's layer"):
        make(network_settings(KINDS[0], "cifar"), networks[0], layers=["layer4"])


def test_a_layer_that_does_not_exist_is_refused_in_a_training_by_hand():
    with pytest.raises(UserError, match=r"^method nst: layers names 'layer9', which the network does not have; choose"):
        make(network_settings(KINDS[0]), network_settings(KINDS[1]), layers=["layer9"])
    assert read_settings(AnyMethod, {"kind": "nst", "layers": ["layer9"]}, where="method").layers == ["layer9"]


@pytest.fixture(scope="module")
def teacher(tiny):
    return fit(tiny, {"kind": "erm"}, role="teacher", network=network_settings(KINDS[0]), batch_size=16).network


@pytest.mark.parametrize(("engine", "kernel"), [("fast", "polynomial"), ("fast", "rbf"), ("reference", "linear")])
def test_a_students_neurons_become_like_its_bases(tiny, teacher, monkeypatch, engine, kernel):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    student = {"kind": "nst", "kernel": kernel, "beta": 500.0}
    history = fit(tiny, student, base=teacher, epochs=5, batch_size=16, learning_rate=0.003, engine=engine).history
    assert history["transfer"].iloc[-1] < 0.9 * history["transfer"].iloc[0]
    assert np.allclose(history["loss"], history["transfer"] + history["cross_entropy"])


def test_with_beta_zero_it_is_cross_entropy(tiny, teacher):
    plain, zero = fit(tiny, {"kind": "erm"}), fit(tiny, {"kind": "nst", "beta": 0.0}, base=teacher)
    assert_same_bits(plain, zero, apart_from=["transfer"])
