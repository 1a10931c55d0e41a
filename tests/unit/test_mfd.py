"""The MFD loss against its formula, written out in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_trainings import fit, network_settings
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.metrics.pairwise import euclidean_distances, polynomial_kernel, rbf_kernel
from sklearn.preprocessing import normalize

from fairdistill.methods.base import Batch, Task
from fairdistill.methods.mfd import MFD, Kernel, by_class, mfd_loss
from fairdistill.networks import Classifier, Output, build_network, freeze
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from fairdistill.settings.methods import AnyMethod
from fairdistill.settings.reading import read_settings

C, G, D = 3, 2, 5
KERNELS = [{}, {"kernel": "polynomial"}, {"kernel": "polynomial", "offset": 0.0}]


def sample(seed, n=24, dtype=torch.float64, n_classes=C, n_groups=G):
    g = torch.Generator().manual_seed(seed)
    teacher = torch.randn(n, D, generator=g, dtype=dtype)
    student = 0.5 + 1.5 * torch.randn(n, D, generator=g, dtype=dtype)
    label = torch.randint(n_classes, (n,), generator=g)
    group = torch.randint(n_groups, (n,), generator=g)
    return teacher, student, label, group


def mean_squared_distance(teacher, student):
    return np.mean([[np.sum((t - s) ** 2) for s in student] for t in teacher])


def reference(teacher, student, label, group, *, kernel="rbf", sigma=1.0, degree=2, offset=1.0, s=None):
    """Section IV-B.2 with loops; `s` the constant of the RBF kernel."""
    teacher, student, label, group = (np.asarray(v) for v in (teacher, student, label, group))
    s = mean_squared_distance(teacher, student) if s is None else s

    def k(x, y):
        if kernel == "rbf":
            return np.exp(-np.sum((x - y) ** 2) / (2 * sigma * s))
        return (x @ y / np.linalg.norm(x) / np.linalg.norm(y) + offset) ** degree

    def mean_kernel(a, b):
        return np.mean([[k(x, y) for y in b] for x in a])

    total = 0.0
    for y in range(C):
        for a in range(G):
            t, u = teacher[label == y], student[(label == y) & (group == a)]
            if len(u):
                total += mean_kernel(t, t) + mean_kernel(u, u) - 2 * mean_kernel(t, u)
    return total


def loss(teacher, student, label, group, *, kernel="rbf", **options):
    return mfd_loss(teacher, student, label, group, n_classes=C, n_groups=G, kernel=Kernel(kernel, **options))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 30),
    options=st.sampled_from(
        [
            {},
            {"sigma": 0.3},
            {"sigma": 4.0},
            {"kernel": "polynomial"},
            {"kernel": "polynomial", "degree": 3},
            {"kernel": "polynomial", "offset": 0.0},
            {"kernel": "polynomial", "degree": 3, "offset": 0.5},
        ]
    ),
)
def test_equals_the_formula(seed, n, options):
    batch = sample(seed, n)
    assert loss(*batch, **options).item() == pytest.approx(reference(*batch, **options), abs=1e-10)


@pytest.mark.parametrize(
    ("options", "kernel"),
    [
        ({"sigma": 0.5}, lambda x, s: rbf_kernel(x, gamma=1 / s)),
        ({"sigma": 2.0}, lambda x, s: rbf_kernel(x, gamma=1 / (4 * s))),
        ({"kernel": "polynomial", "degree": 3}, lambda x, s: polynomial_kernel(normalize(x), degree=3, gamma=1)),
        # as in the code of the method's authors
        (
            {"kernel": "polynomial", "degree": 2, "offset": 0.0},
            lambda x, s: polynomial_kernel(normalize(x), degree=2, gamma=1, coef0=0),
        ),
    ],
)
def test_equals_the_discrepancies_that_sklearns_kernels_give(options, kernel):
    """MMD^2 as the quadratic form of one kernel matrix over the samples of both sides."""
    teacher, student, label, group = sample(8, 200)
    s = euclidean_distances(teacher, student, squared=True).mean()
    total = 0.0
    for y in range(C):
        for a in range(G):
            t, u = teacher[label == y], student[(label == y) & (group == a)]
            sign = np.concatenate([np.full(len(t), 1 / len(t)), np.full(len(u), -1 / len(u))])
            total += sign @ kernel(np.concatenate([t, u]), s) @ sign
    assert loss(teacher, student, label, group, **options).item() == pytest.approx(total, rel=1e-9)


def test_offset_zero_is_the_authors_squared_cosine():
    teacher, student, _, _ = sample(9, dtype=torch.float32)
    label, group = torch.arange(24) % C, torch.arange(24) % 7 % G
    cosine = normalize(torch.cat([teacher, student]).double()) @ normalize(torch.cat([teacher, student]).double()).T
    tt, ts, ss = cosine[:24, :24] ** 2, cosine[:24, 24:] ** 2, cosine[24:, 24:] ** 2
    total = 0.0
    for y in range(C):
        for a in range(G):
            t, s = (label == y).numpy(), ((label == y) & (group == a)).numpy()
            total += tt[t][:, t].mean() + ss[s][:, s].mean() - 2 * ts[t][:, s].mean()
    terms, _ = terms_of(method(D, D, kernel="polynomial", offset=0), (teacher, student, label, group))
    assert terms["mfd"].item() == pytest.approx(1.5 * total, rel=1e-5)


def test_float32_is_close_to_the_formula_for_features_far_from_zero():
    teacher, student, label, group = sample(0, 64)
    teacher, student = teacher + 20, student + 20
    ours = loss(teacher.float(), student.float(), label, group)
    assert ours.item() == pytest.approx(reference(teacher, student, label, group), abs=1e-3)


@pytest.mark.parametrize("options", KERNELS, ids=str)
def test_gradient_by_finite_differences(options):
    teacher, student, label, group = sample(1, 12)
    # no gradient through s: the differences are taken with s kept at its value
    s = mean_squared_distance(teacher.numpy(), student.numpy())
    student.requires_grad_()
    loss(teacher, student, label, group, **options).backward()
    step = 1e-6
    for i, j in [(0, 0), (3, 2), (7, 4), (11, 1)]:
        ends = []
        for sign in (1, -1):
            moved = student.detach().clone()
            moved[i, j] += sign * step
            ends.append(reference(teacher, moved, label, group, **options, s=s))
        assert student.grad[i, j].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6)


def test_no_gradient_reaches_the_teacher():
    teacher, student, label, group = sample(2)
    teacher.requires_grad_()
    student.requires_grad_()
    loss(teacher, student, label, group).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20)
def test_order_of_the_batch_does_not_matter(seed):
    teacher, student, label, group = sample(seed)
    order = torch.randperm(len(label), generator=torch.Generator().manual_seed(seed))
    shuffled = loss(teacher[order], student[order], label[order], group[order])
    assert shuffled.item() == pytest.approx(loss(teacher, student, label, group).item(), abs=1e-10)


@given(seed=st.integers(0, 10_000), options=st.sampled_from(KERNELS))
@settings(max_examples=30)
def test_is_never_negative(seed, options):
    assert loss(*sample(seed), **options).item() > -1e-10


@pytest.mark.parametrize("options", KERNELS, ids=str)
def test_identical_distributions_give_zero(options):
    features = torch.randn(6, D, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    # each group of each class holds the same six feature vectors, and the teacher's classes hold them too
    both = features.repeat(C * G, 1)
    label = torch.arange(C).repeat_interleave(G * 6)
    group = torch.arange(G).repeat_interleave(6).repeat(C)
    assert loss(both, both, label, group, **options).item() == pytest.approx(0, abs=1e-12)
    assert loss(both, both + 1, label, group, **options).item() > 0.1


def test_empty_cells_add_nothing():
    teacher, student, label, group = sample(4)
    more = mfd_loss(teacher, student, label, group, n_classes=C + 4, n_groups=G + 3)
    assert more.item() == pytest.approx(loss(teacher, student, label, group).item(), abs=1e-12)


def test_sums_over_cells_rather_than_averaging():
    teacher, student, _, _ = sample(5)
    label, group = torch.zeros(24, dtype=torch.long), torch.zeros(24, dtype=torch.long)
    one = loss(teacher, student, label, group)
    # the same features in both classes: two equal cells
    halves = loss(
        torch.cat([teacher, teacher]), torch.cat([student, student]),
        torch.cat([label, label + 1]), torch.cat([group, group]),
    )  # fmt: skip
    assert halves.item() == pytest.approx(2 * one.item(), rel=1e-10)


def test_equal_features_do_not_divide_by_zero():
    same = torch.ones(4, D)
    label, group = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    assert loss(same, same, label, group).item() == pytest.approx(0, abs=1e-6)


def test_samples_are_sorted_by_class():
    label = torch.tensor([2, 0, 2, 2, 0])
    rank, position, present = by_class(label, 4)
    assert rank.tolist() == [0, 0, 1, 2, 1]
    assert position.tolist() == [[1, 4, 0], [0, 0, 0], [0, 2, 3], [0, 0, 0]]
    assert present.sum(1).tolist() == [2, 0, 3, 0]


def method_for(network, base, *, size=8, **settings):
    none = torch.empty(0, dtype=torch.int64)
    read = read_settings(AnyMethod, {"kind": "mfd", **settings}, where="method")
    return MFD(read, Task(C, G, none, none, size, network, base))


def method(width, base_width, **settings):
    """MFD for a network and a base of such widths."""
    return method_for(
        *(Classifier(torch.nn.Identity(), torch.nn.Linear(n, C)) for n in (width, base_width)), **settings
    )


def terms_of(method, sample_):
    teacher, student, label, group = sample_
    logits = torch.randn(len(label), C, generator=torch.Generator().manual_seed(0))
    base = method.read_base(Output(teacher, logits + 1, {}))
    batch = Batch(torch.empty(len(label), 0), label, group, torch.arange(len(label)), base)
    return method.loss(batch, Output(student, logits, {}), "train"), logits


def test_the_method_weighs_with_half_lambda():
    teacher, student, label, group = sample(7, dtype=torch.float32)
    terms, logits = terms_of(method(D, D, **{"lambda": 5.0}), (teacher, student, label, group))
    assert list(terms) == ["cross_entropy", "mfd"]
    assert terms["mfd"].item() == pytest.approx(2.5 * loss(teacher, student, label, group).item())
    assert terms["cross_entropy"].item() == pytest.approx(torch.nn.functional.cross_entropy(logits, label).item())


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize(
    "options",
    [{"sigma": 0.3}, {"kernel": "polynomial", "degree": 3}, {"kernel": "polynomial", "offset": 0.0}],
    ids=str,
)
def test_the_method_passes_its_settings_to_the_loss(options, printed):
    sample_ = sample(7, dtype=torch.float32)
    mfd = method(D, D, **options)
    if printed:
        mfd.use_printed_formula()
    terms, _ = terms_of(mfd, sample_)
    expected = 1.5 * reference(*sample_, **options)
    assert terms["mfd"].item() == pytest.approx(expected, rel=1e-4)
    assert expected != pytest.approx(1.5 * reference(*sample_), rel=0.01)


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize("options", [{"sigma": 0.5}, {"kernel": "polynomial", "offset": 0.0}], ids=str)
def test_joint_features_are_those_of_the_whole_batch(options, printed):
    """K_TT.mean() + K_SS.mean() - 2 K_TS.mean() of the authors' trainer with --jointfeature, here by sklearn."""
    teacher, student, label, group = sample(10)
    joint = method(D, D, joint=True, **options)
    if printed:
        joint.use_printed_formula()
    student.requires_grad_()
    terms, _ = terms_of(joint, (teacher, student, label, group))
    both = np.concatenate([teacher.numpy(), student.detach().numpy()])
    if "sigma" in options:
        k = rbf_kernel(both, gamma=1 / euclidean_distances(both[:24], both[24:], squared=True).mean())
    else:
        k = polynomial_kernel(normalize(both), degree=2, gamma=1, coef0=0)
    expected = k[:24, :24].mean() + k[24:, 24:].mean() - 2 * k[:24, 24:].mean()
    assert terms["mfd"].item() == pytest.approx(1.5 * expected, rel=1e-9)
    # the same where each image belongs to another cell, and another than the discrepancy of the cells
    again, _ = terms_of(joint, (teacher, student, (label + 1) % C, 1 - group))
    assert again["mfd"].item() == terms["mfd"].item()
    of_cells, _ = terms_of(method(D, D, **options), (teacher, student, label, group))
    assert of_cells["mfd"].item() != pytest.approx(terms["mfd"].item(), rel=0.01)
    terms["mfd"].backward()
    assert student.grad.abs().min() > 0


@pytest.mark.parametrize("options", KERNELS, ids=str)
def test_joint_features_that_are_the_teachers_give_zero(options):
    teacher, _, label, group = sample(10)
    terms, _ = terms_of(method(D, D, joint=True, **options), (teacher, teacher.flip(0), label, group))
    assert terms["mfd"].item() == pytest.approx(0, abs=1e-12)


def test_without_a_fairness_term_the_base_is_not_asked():
    mfd = method(D, D, **{"lambda": 0})
    assert not mfd.uses_base
    terms, _ = terms_of(mfd, sample(7, dtype=torch.float32))
    assert list(terms) == ["cross_entropy"]
    assert method(D, D).uses_base


def test_a_regressor_joins_different_widths():
    assert [tuple(p.shape) for p in method(D, 9).parameters()] == [(9, D)]
    assert list(method(D, D).parameters()) == []
    teacher, student, label, group = sample(7)
    joined = method(D, 9).double()
    wide = teacher.repeat(1, 2)[:, :9]

    weight = joined.regressors[0].weight
    terms, _ = terms_of(joined, (wide, student, label, group))
    terms["mfd"].backward()

    def joined_by(values):
        return 1.5 * reference(wide, student.numpy() @ values.T, label, group, s=s)

    values = weight.detach().numpy()
    s = mean_squared_distance(wide.numpy(), student.numpy() @ values.T)
    assert terms["mfd"].item() == pytest.approx(joined_by(values))
    for i, j in [(0, 0), (3, 2), (8, 4)]:
        moved = np.zeros_like(values)
        moved[i, j] = 1e-6
        slope = (joined_by(values + moved) - joined_by(values - moved)) / 2e-6
        assert weight.grad[i, j].item() == pytest.approx(slope, abs=1e-6)


# of the last map before pooling


class Pooled(torch.nn.Module):
    """A map of `channels` channels and a quarter of the image's edge, and its mean over pixels."""

    def __init__(self, channels):
        super().__init__()
        self.map = torch.nn.Sequential(torch.nn.Conv2d(3, channels, 4, stride=4), torch.nn.BatchNorm2d(channels))

    def forward(self, images):
        return self.map(images).mean((2, 3))


def flattening(channels, base_channels, **settings):
    torch.manual_seed(channels)
    network, base = (
        Classifier(Pooled(n), torch.nn.Linear(n, C), last_map="map").double() for n in (channels, base_channels)
    )
    freeze(base)
    return network, base, method_for(network, base, **settings, features="flattened")


def images_of(seed, n=16, size=8):
    rng = torch.Generator().manual_seed(seed)
    label, group = (torch.randint(k, (n,), generator=rng) for k in (C, G))
    return torch.randn(n, 3, size, size, generator=rng, dtype=torch.float64), label, group


def term_on(network, base, method, images, label, group):
    """The fairness term in float64, with the maps that the method asks for and no others."""
    student, teacher = (
        Output(each.body(images), each(images).logits, {name: each.body.get_submodule(name)(images) for name in layers})
        for each, layers in ((network, method.layers), (base, method.base_layers))
    )
    batch = Batch(images, label, group, torch.arange(len(label)), method.read_base(teacher))
    return method.loss(batch, student, "train")["mfd"]


@pytest.mark.parametrize("options", [{}, {"kernel": "polynomial", "offset": 0.0}], ids=str)
@pytest.mark.parametrize("printed", [False, True])
def test_flattened_features_are_all_values_of_the_last_map(options, printed):
    network, base, mfd = flattening(3, 3, **options)
    if printed:
        mfd.use_printed_formula()
    images, label, group = images_of(0)
    found = term_on(network, base, mfd, images, label, group).item()
    # of 3 channels and 2x2 pixels, with the batch norm in the modes of a training
    teacher, student = (each.body.map(images).detach().numpy().reshape(len(label), 12) for each in (base, network))
    assert found == pytest.approx(1.5 * reference(teacher, student, label, group, **options), rel=1e-9)
    pooled = method_for(network, base, **options)
    assert term_on(network, base, pooled, images, label, group).item() != pytest.approx(found, rel=0.01)


def test_gradient_of_flattened_features_by_finite_differences():
    network, base, mfd = flattening(2, 2, kernel="polynomial")
    images, label, group = images_of(1)
    weight = network.body.map[0].weight
    term_on(network, base, mfd, images, label, group).backward()
    assert all(parameter.grad is None for parameter in base.parameters())
    step = 1e-6
    for place in [(0, 0, 0, 0), (1, 2, 3, 1), (0, 1, 2, 2)]:
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[place] += sign * step
                ends.append(term_on(network, base, mfd, images, label, group).item())
                weight[place] -= sign * step
        assert weight.grad[place].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("size", [8, 16])
def test_a_regressor_joins_flattened_maps_of_different_widths(size):
    network, base, mfd = flattening(2, 3, size=size)
    pixels = (size // 4) ** 2
    assert [tuple(p.shape) for p in mfd.parameters()] == [(3 * pixels, 2 * pixels)]
    term_on(network, base, mfd.double(), *images_of(2, size=size)).backward()
    assert mfd.regressors[0].weight.grad.abs().sum() > 0
    assert list(flattening(2, 2, size=size)[2].parameters()) == []


def test_measuring_a_map_leaves_the_network_as_it_was():
    network = Classifier(Pooled(4), torch.nn.Linear(4, C), last_map="map").train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    assert network.map_shapes(16, ["map"]) == {"map": (4, 4, 4)}
    assert network.training
    assert network.body.map.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_flattened_features_without_a_fairness_term_ask_for_no_map():
    _, _, mfd = flattening(2, 2, **{"lambda": 0.0})
    assert (mfd.layers, mfd.base_layers) == ([], [])


# of the maps of other layers


class TwoMaps(torch.nn.Module):
    """Maps of `channels` channels and of twice as many, of a quarter and of an eighth of the image's edge."""

    def __init__(self, channels):
        super().__init__()
        self.first = torch.nn.Sequential(torch.nn.Conv2d(3, channels, 4, stride=4), torch.nn.Tanh())
        self.second = torch.nn.Conv2d(channels, 2 * channels, 2, stride=2)

    def forward(self, images):
        return self.second(self.first(images)).mean((2, 3))


def at_layers(channels, base_channels, **settings):
    torch.manual_seed(channels)
    network, base = (
        Classifier(TwoMaps(n), torch.nn.Linear(2 * n, C), layers=["first", "second"], last_map="second").double()
        for n in (channels, base_channels)
    )
    return network, freeze(base), method_for(network, base, size=16, **settings).double()


def outputs_of(network, images):
    """In float64, with all maps from one pass."""
    first = network.body.first(images)
    second = network.body.second(first)
    features = second.mean((2, 3))
    return Output(features, network.head(features), {"first": first, "second": second})


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize("which", ["pooled", "flattened"])
@pytest.mark.parametrize("layers", [["first"], ["second"], ["second", "first"]], ids=str)
def test_features_are_those_of_the_named_layers(layers, which, printed):
    network, base, mfd = at_layers(2, 2, layers=layers, features=which, sigma=0.5)
    if printed:
        mfd.use_printed_formula()
    assert (mfd.layers, mfd.base_layers) == (layers, layers)
    images, label, group = images_of(3, size=16)
    expected = 0.0
    for layer in layers:
        of = []
        for each in (base, network):
            maps = each.body.first(images)
            maps = (maps if layer == "first" else each.body.second(maps)).detach().numpy()
            of.append(maps.mean((2, 3)) if which == "pooled" else maps.reshape(len(label), -1))
        expected += 1.5 * reference(*of, label, group, sigma=0.5)
    outputs = [outputs_of(each, images) for each in (base, network)]
    batch = Batch(images, label, group, torch.arange(len(label)), mfd.read_base(outputs[0]))
    term = mfd.loss(batch, outputs[1], "train")["mfd"]
    assert term.item() == pytest.approx(expected, rel=1e-9)
    term.backward()
    assert (network.body.second.weight.grad is not None) == ("second" in layers)
    assert network.body.first[0].weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in base.parameters())


def test_the_pooled_map_of_the_last_layer_is_what_is_compared_by_default():
    network, base, last = at_layers(2, 2, layers=["second"])
    _, _, default = at_layers(2, 2)
    images, label, group = images_of(4, size=16)
    found = []
    for mfd in (last, default):
        outputs = [outputs_of(each, images) for each in (base, network)]
        batch = Batch(images, label, group, torch.arange(len(label)), mfd.read_base(outputs[0]))
        found.append(mfd.loss(batch, outputs[1], "train")["mfd"].item())
    assert found[0] == pytest.approx(found[1], rel=1e-12)
    assert (default.layers, last.layers) == ([], ["second"])


@pytest.mark.parametrize(
    ("which", "shapes"), [("pooled", [(3, 2), (6, 4)]), ("flattened", [(3 * 16, 2 * 16), (6 * 4, 4 * 4)])]
)
def test_each_layer_has_a_regressor_of_its_own(which, shapes):
    _, _, mfd = at_layers(2, 3, layers=["first", "second"], features=which)
    assert [tuple(weight.shape) for weight in mfd.parameters()] == shapes
    assert list(at_layers(2, 2, layers=["first", "second"], features=which)[2].parameters()) == []


def study(layers, base="teacher"):
    student = {"kind": "mfd", "layers": layers, "base": base}
    return {"architectures": ["resnet"], "methods": ["fair"], "students": {"fair": student}}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (study(["layer9"]), "names 'layer9', which the network does not have; choose one of layer1, layer2"),
        (
            study(["layer1"], {"method": "teacher", "architecture": "shufflenet"}),
            "names 'layer1', but the base has no layer at the same distance from its last; name a later one",
        ),
    ],
)
def test_a_layer_that_does_not_exist_is_refused_when_the_configuration_is_read(config, words):
    with pytest.raises(UserError) as error:
        complete(config)
    assert str(error.value).startswith(f"config: students.fair.layers {words}")
    assert "\n" not in str(error.value)


def test_a_layer_that_does_not_exist_is_refused_in_a_training_by_hand():
    with pytest.raises(UserError, match=r"^method mfd: layers names 'third', which the network does not have; choose"):
        at_layers(2, 2, layers=["third"])


def test_layers_that_exist_are_taken():
    assert complete(study(["layer2", "layer4"])).students["fair"].layers == ["layer2", "layer4"]
    assert complete(study(None)).students["fair"].layers is None


# of a larger teacher


@pytest.mark.parametrize(
    ("settings_", "shapes"),
    [
        ({}, {"resnet34": [], "resnet50": [(2048, 512)]}),
        ({"features": "flattened"}, {"resnet34": [], "resnet50": [(2048, 512)]}),
        ({"layers": ["layer1", "layer3"]}, {"resnet34": [], "resnet50": [(256, 64), (1024, 256)]}),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["resnet34", "resnet50"])
def test_a_student_of_a_deeper_teacher_has_a_regressor_where_widths_differ(tiny, kind, settings_, shapes):
    torch.manual_seed(6)
    base = build_network(network_settings(kind, "imagenet"), 3)
    options = {"network": network_settings("resnet18", "imagenet"), "batch_size": 48, "epochs": 1}
    trained = fit(tiny, {"kind": "mfd", **settings_}, base=base, **options)
    assert [tuple(weight.shape) for weight in trained.method.parameters()] == shapes[kind]
    assert trained.history["mfd"][0] > 0


# together with the distillation of logits


@pytest.mark.parametrize(("lambda_", "kd_weight"), [(3.0, 4.0), (0.0, 2.0), (3.0, 0.0), (0.5, 0.0), (0.0, 0.5)])
def test_logits_are_distilled_as_in_the_authors_code(lambda_, kd_weight):
    """lambh * T^2 * KLDivLoss(reduction="batchmean") of the authors' trainer, here by scipy."""
    sample_ = sample(11, dtype=torch.float32)
    mfd = method(D, D, **{"lambda": lambda_}, kd_weight=kd_weight)
    terms, logits = terms_of(mfd, sample_)
    assert mfd.uses_base
    assert list(terms) == ["cross_entropy", *["mfd"] * (lambda_ > 0), *["distillation"] * (kd_weight > 0)]
    # the base's logits are those of the student + 1, which are the same probabilities
    if kd_weight:
        assert terms["distillation"].item() == pytest.approx(0, abs=1e-5)
        teacher, student, label, group = sample_
        of_base = torch.randn(len(label), C, generator=torch.Generator().manual_seed(1))
        read = mfd.read_base(Output(teacher, of_base, {}))
        batch = Batch(torch.empty(len(label), 0), label, group, torch.arange(len(label)), read)
        terms = mfd.loss(batch, Output(student, logits, {}), "train")
        p, q = (softmax(values.double().numpy() / 3, axis=1) for values in (of_base, logits))
        assert terms["distillation"].item() == pytest.approx(kd_weight * 9 * entropy(p, q, axis=1).mean(), rel=1e-5)
    if lambda_:
        assert terms["mfd"].item() == pytest.approx(lambda_ / 2 * reference(*sample_), rel=1e-4)


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"kind": "mfd", "lambda": -1}, "method: lambda is -1; it must be at least 0"),
        ({"kind": "mfd", "lambda": math.nan}, "method: lambda is NaN; it must be a number"),
        ({"kind": "mfd", "lambda_": 1}, "method has the unknown key 'lambda_'; did you mean 'lambda'?"),
        ({"kind": "mfd", "sigma": 0}, "method: sigma is 0; it must be above 0"),
        ({"kind": "mfd", "sigma": math.inf}, "method: sigma is Infinity; it must be a number"),
        ({"kind": "mfd", "degree": 0}, "method: degree is 0; it must be at least 1"),
        ({"kind": "mfd", "offset": -1}, "method: offset is -1; it must be at least 0"),
        ({"kind": "mfd", "kernel": "cubic"}, 'method: kernel is "cubic"; choose one of rbf, polynomial'),
        ({"kind": "mfd", "lamda": 1}, "method has the unknown key 'lamda'; did you mean 'lambda'?"),
        ({"kind": "mdf"}, "method: kind is \"mdf\"; did you mean 'mfd'?"),
        (
            {"kind": "erm", "sampling": "fair"},
            'method: sampling is "fair"; choose one of plain, balanced, oversampled, undersampled, class_balanced',
        ),
        ({"kind": "mfd", "kd_weight": -1}, "method: kd_weight is -1; it must be at least 0"),
        ({"kind": "mfd", "kd_temperature": 0}, "method: kd_temperature is 0; it must be above 0"),
        ({"kind": "mfd", "layers": []}, "method: layers is empty; name at least one"),
        ({"kind": "mfd", "joint": "yes"}, 'method: joint is "yes"; it must be true or false'),
        ({"kind": "mfd", "features": "flat"}, "method: features is \"flat\"; did you mean 'flattened'?"),
    ],
)
def test_bad_settings_are_named(settings_, words):
    with pytest.raises(UserError) as error:
        read_settings(AnyMethod, settings_, where="method")
    assert str(error.value) == words
