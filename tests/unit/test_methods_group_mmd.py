"""The MMD between the groups of each class, compared with loops in float64 and scikit-learn's kernels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_trainings import fit, method_settings, network_settings
from sklearn.metrics import pairwise
from torch import nn

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.methods.group_mmd import group_mmd
from fairdistill.methods.mfd import Kernel, mfd_loss
from fairdistill.networks import Classifier, Output, build_network
from fairdistill.training.engines import load_engine

METHOD = {"kind": "group_mmd"}
KERNELS = [
    {"kernel": "rbf"},
    {"kernel": "rbf", "sigma": 0.3},
    {"kernel": "polynomial"},
    {"kernel": "polynomial", "degree": 3, "offset": 0.0},
]


def penalty(features, label, group, *, kernel, n_classes, n_groups, **options):
    kernel = Kernel(kernel, **options)
    return group_mmd(features, label, group, n_classes=n_classes, n_groups=n_groups, kernel=kernel)


def by_loops(features, label, group, *, kernel, sigma=1.0, degree=2, offset=1.0):
    """The sum over classes and pairs of groups, with scikit-learn's kernels."""
    n = len(features)
    s = sum(((features[i] - features[j]) ** 2).sum() for i in range(n) for j in range(n)) / n**2
    if kernel == "rbf":
        k = pairwise.rbf_kernel(features, gamma=1 / (2 * sigma * s))
    else:
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        k = pairwise.polynomial_kernel(unit, degree=degree, gamma=1, coef0=offset)
    total = 0.0
    for y in np.unique(label):
        members = [np.flatnonzero((label == y) & (group == a)) for a in np.unique(group[label == y])]
        for number, one in enumerate(members):
            for other in members[:number]:
                within = sum(np.mean([k[i, j] for i in own for j in own]) for own in (one, other))
                total += within - 2 * np.mean([k[i, j] for i in one for j in other])
    return total


@given(seed=st.integers(0, 10_000), n=st.integers(2, 24), chosen=st.sampled_from(KERNELS))
@settings(max_examples=40)
def test_it_is_the_sum_over_the_pairs_of_groups_of_each_class(seed, n, chosen):
    """In batches of any size, so that cells are empty, and classes too."""
    rng = np.random.default_rng(seed)
    features, label, group = rng.normal(size=(n, 5)), rng.integers(3, size=n), rng.integers(4, size=n)
    features[:, 0] += group
    found = penalty(*map(torch.from_numpy, (features, label, group)), n_classes=3, n_groups=4, **chosen)
    assert found.item() == pytest.approx(by_loops(features, label, group, **chosen), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("chosen", KERNELS)
def test_it_is_zero_where_the_groups_of_each_class_have_the_same_features(chosen):
    torch.manual_seed(0)
    one = torch.randn(6, 4, dtype=torch.float64)
    label, group = torch.arange(6) % 3, torch.arange(2).repeat_interleave(6)
    sizes = {"n_classes": 3, "n_groups": 2}
    same = penalty(torch.cat([one, one]), label.repeat(2), group, **sizes, **chosen)
    assert same.item() == pytest.approx(0, abs=1e-12)
    other = penalty(torch.cat([one, one + torch.eye(4)[0]]), label.repeat(2), group, **sizes, **chosen)
    assert other.item() > 0.05
    # classes may differ as they like, and a class of one group has nothing to be compared with
    assert penalty(one, label, label % 2, **sizes, **chosen).item() == 0


@pytest.mark.parametrize("kernel", ["rbf", "polynomial"])
def test_features_that_are_all_the_same_give_zero_and_a_gradient(kernel):
    features = torch.ones(6, 4, requires_grad=True)
    label, group = torch.zeros(6, dtype=torch.long), torch.arange(6) % 2
    found = penalty(features, label, group, n_classes=2, n_groups=2, kernel=kernel)
    (gradient,) = torch.autograd.grad(found, features)
    assert found.item() == pytest.approx(0, abs=1e-6)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("chosen", KERNELS)
def test_its_gradient_holds_the_bandwidth_constant(chosen):
    """Finite differences with the bandwidth of the features that are not moved."""
    rng = np.random.default_rng(0)
    x, label, group = rng.normal(size=(10, 3)), np.arange(10) % 2, np.arange(10) // 2 % 3
    given_ = torch.from_numpy(x).requires_grad_()
    sizes = {"n_classes": 2, "n_groups": 3}
    value = penalty(given_, *map(torch.from_numpy, (label, group)), **sizes, **chosen)
    (found,) = torch.autograd.grad(value, given_)

    def mean_square(z):
        return np.mean([((a - b) ** 2).sum() for a in z for b in z])

    expected = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * 1e-6
            fixed = dict(chosen)
            if chosen["kernel"] == "rbf":
                fixed["sigma"] = chosen.get("sigma", 1.0) * mean_square(x) / mean_square(moved)
            expected[index] += sign * by_loops(moved, label, group, **fixed) / 2e-6
    assert np.allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("n_groups", [2, 4])
def test_mfd_has_it_divided_by_the_number_of_groups(n_groups):
    """The rest of MFD is what it would be of one group, in which each of the groups counts alike."""
    rng = np.random.default_rng(0)
    label, group = (torch.from_numpy(index.ravel().repeat(3)) for index in np.indices((3, n_groups)))
    teacher, student = (torch.from_numpy(rng.normal(size=(len(label), 5))) for _ in "ts")
    of = {"n_classes": 3, "kernel": Kernel("polynomial")}
    whole = mfd_loss(teacher, student, label, group, n_groups=n_groups, **of)
    # cells are of one size, so that the mean of the class is that of its groups
    one_group = mfd_loss(teacher, student, label, torch.zeros_like(group), n_groups=1, **of)
    between = group_mmd(student, label, group, n_groups=n_groups, **of)
    torch.testing.assert_close(whole, n_groups * one_group + between / n_groups)


def method_for(**values):
    network = build_network(network_settings(), 3)
    label = torch.arange(12) % 3
    chosen = method_settings(**METHOD, **values)
    return method_class(chosen)(chosen, Task(3, 2, label, label % 2, 8, network, None))


@pytest.mark.parametrize(
    "kernel", [{"kernel": "polynomial", "degree": 3, "offset": 0.5}, {"kernel": "rbf", "sigma": 0.3}]
)
def test_the_loss_is_cross_entropy_and_half_of_lambda_times_the_penalty(kernel):
    rng = np.random.default_rng(1)
    features, logits = rng.normal(size=(12, 5)), rng.normal(size=(12, 3))
    label, group = np.arange(12) % 3, np.arange(12) // 3 % 2
    batch = Batch(torch.zeros(12, 3, 8, 8), *map(torch.from_numpy, (label, group, np.arange(12))), {})
    output = Output(torch.from_numpy(features), torch.from_numpy(logits), {})
    terms = method_for(**{"lambda": 5.0}, **kernel).loss(batch, output, "train")
    expected = by_loops(features, label, group, **kernel)
    assert terms["group_mmd"].item() == pytest.approx(2.5 * expected)
    likelihood = logits[np.arange(12), label] - np.log(np.exp(logits).sum(1))
    assert terms["cross_entropy"].item() == pytest.approx(-likelihood.mean())
    assert method_for(**{"lambda": 0.0}).loss(batch, output, "train")["group_mmd"].item() == 0


def distance_of_groups(weight):
    """Train a linear network where the second input is the group's, which goes with the class in 80 %.

    Returns the distance between the groups' mean features in a class, in units of the features' deviation within it.
    """
    rng = np.random.default_rng(0)
    label = rng.integers(2, size=200)
    group = np.where(rng.random(200) < 0.8, label, 1 - label)
    x = np.stack([2 * label + rng.normal(size=200), 2 * group + rng.normal(size=200)], axis=1)
    torch.manual_seed(0)
    network = Classifier(nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), nn.Linear(2, 2))
    chosen = method_settings(**METHOD, **{"lambda": weight})
    y, a, images = torch.from_numpy(label), torch.from_numpy(group), torch.from_numpy(x).float()[:, :, None, None]
    method = method_class(chosen)(chosen, Task(2, 2, y, a, 1, network, None))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.04)
    for _ in range(150):
        step = method.update(network, Batch(images, y, a, torch.arange(200), {}), {"adam": optimizer}, "train")
    features = step.output.features.detach().numpy()
    accuracy = (step.output.logits.argmax(1) == y).float().mean().item()
    cells = [[features[(label == c) & (group == g)] for g in range(2)] for c in range(2)]
    distances = [np.linalg.norm(np.mean(one, axis=0) - np.mean(two, axis=0)) for one, two in cells]
    deviations = [np.sqrt(np.mean([cell.var(axis=0).sum() for cell in of_class])) for of_class in cells]
    return np.divide(distances, deviations).max(), accuracy


def test_it_brings_the_groups_of_a_class_together():
    (apart, _), (together, accuracy) = distance_of_groups(0.0), distance_of_groups(30.0)
    assert apart > 0.5
    assert together < apart / 4
    # the first input alone tells the classes in 84 %
    assert accuracy > 0.8


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_it_trains_with_both_engines(tiny, monkeypatch, engine):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    history = fit(tiny, METHOD, epochs=5, batch_size=16, engine=engine).history
    assert history["cross_entropy"].iloc[-1] < history["cross_entropy"].iloc[0] / 1.5
    assert np.allclose(history["loss"], history["cross_entropy"] + history["group_mmd"])
