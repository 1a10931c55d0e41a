"""Reweighing, compared with loops in float64 and with AIF360."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from method_trainings import fit, method_settings, network_settings

from fairdistill.methods.base import Batch, Task, method_class
from fairdistill.methods.reweighing import reweighing_weights
from fairdistill.networks import Output, build_network
from fairdistill.runtime.errors import UserError
from fairdistill.training.engines import load_engine

with warnings.catch_warnings():
    # of aif360's own source, when it is compiled
    warnings.filterwarnings("ignore", "invalid escape sequence")
    from aif360.sklearn.preprocessing import Reweighing as OfAif360

METHOD = {"kind": "reweighing"}
# of three classes and four groups; one cell has no image
SIZES = np.array([[40, 10, 5, 3], [7, 30, 1, 12], [9, 2, 0, 21]])


def images_of(sizes):
    """The label and the group of each of so many images of every class and group."""
    return tuple(np.repeat(index.ravel(), sizes.ravel()) for index in np.indices(sizes.shape))


def method_for(label, group, n_classes, n_groups):
    network = build_network(network_settings(), n_classes)
    settings = method_settings(**METHOD)
    label, group = torch.from_numpy(label), torch.from_numpy(group)
    return method_class(settings)(settings, Task(n_classes, n_groups, label, group, 8, network, None))


@pytest.mark.parametrize("sizes", [SIZES, SIZES[:2, :2], SIZES.T])
def test_the_weights_are_the_share_by_chance_over_the_share_there_is(sizes):
    n, expected = sizes.sum(), np.zeros(sizes.shape)
    for y, a in np.ndindex(*sizes.shape):
        if sizes[y, a]:
            expected[y, a] = (sizes[y].sum() / n) * (sizes[:, a].sum() / n) / (sizes[y, a] / n)
    found = reweighing_weights(torch.from_numpy(sizes))
    assert found.dtype == torch.float64
    assert np.allclose(found, expected, rtol=1e-12)
    # under the weights, where every cell has an image, class and group are independent
    weighted = found.numpy() * sizes / n
    if sizes.all():
        assert np.allclose(weighted, np.outer(weighted.sum(1), weighted.sum(0)))
        assert weighted.sum() == pytest.approx(1)


def test_the_weights_are_aif360s():
    label, group = images_of(SIZES)
    frame = pd.DataFrame({"x": 0.0}, index=pd.Index(group, name="group"))
    _, expected = OfAif360("group").fit_transform(frame, pd.Series(label, index=frame.index))
    method = method_for(label, group, *SIZES.shape)
    assert np.allclose(method.weights[label, group], expected, rtol=1e-6)


def test_independent_classes_and_groups_leave_plain_cross_entropy():
    sizes = torch.tensor([[2, 4, 6], [3, 6, 9]])
    assert torch.allclose(reweighing_weights(sizes), torch.ones(2, 3, dtype=torch.float64))


def losses_of(seed=0, n=30):
    """A method, and a batch of the training images with the logits of a network, in float64."""
    rng = np.random.default_rng(seed)
    label, group = images_of(SIZES)
    chosen = rng.choice(len(label), size=n, replace=False)
    method = method_for(label, group, *SIZES.shape)
    batch = Batch(torch.zeros(n, 3, 8, 8), *map(torch.from_numpy, (label[chosen], group[chosen], chosen)), {})
    return method, batch, torch.from_numpy(3 * rng.normal(size=(n, 3)))


def test_the_loss_is_the_weighted_mean():
    method, batch, logits = losses_of()
    n, total = SIZES.sum(), 0.0
    for z, y, a in zip(logits.numpy(), batch.label.numpy(), batch.group.numpy(), strict=True):
        total += SIZES[y].sum() * SIZES[:, a].sum() / n / SIZES[y, a] * (np.log(np.exp(z).sum()) - z[y])
    found = method.loss(batch, Output(torch.zeros(len(logits), 5), logits, {}), "train")
    assert found.keys() == {"cross_entropy"}
    assert found["cross_entropy"].item() == pytest.approx(total / len(logits), rel=1e-6)


def test_the_loss_of_a_sure_and_right_answer_is_zero():
    method, batch, _ = losses_of()
    sure = 1e3 * torch.eye(3, dtype=torch.float64)[batch.label]
    assert method.loss(batch, Output(torch.zeros(len(sure), 5), sure, {}), "train")["cross_entropy"].item() == 0


def test_the_gradient_of_the_loss():
    method, batch, logits = losses_of(n=8)
    method = method.double()

    def loss(z):
        return method.loss(batch, Output(torch.zeros(8, 5), z, {}), "train")["cross_entropy"]

    assert torch.autograd.gradcheck(loss, logits.requires_grad_())


def test_any_other_sampling_is_refused():
    with pytest.raises(UserError, match='method: sampling is "balanced"; it must be plain'):
        method_settings(kind="reweighing", sampling="balanced")


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_it_trains_with_both_engines(tiny, monkeypatch, engine):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)
    history = fit(tiny, METHOD, epochs=5, batch_size=16, engine=engine).history
    assert history["cross_entropy"].iloc[-1] < history["cross_entropy"].iloc[0] / 1.5
