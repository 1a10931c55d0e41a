"""Short trainings by any method on a tiny data set, whole or interrupted, for the tests of the methods."""

from dataclasses import replace

import pytest
import torch
from small_network import Short

from fairdistill.settings.methods import AnyMethod, Method
from fairdistill.settings.networks import AnyNetwork
from fairdistill.settings.reading import read_settings
from fairdistill.settings.training import Training
from fairdistill.training import loop

KINDS = ("resnet18", "shufflenet_v2_x1_0")
SHORT = Short()


def network_settings(kind="shufflenet_v2_x0_5", stem="cifar"):
    return read_settings(AnyNetwork, {"kind": kind, "stem": stem}, where="network")


def method_settings(**values):
    return read_settings(AnyMethod, values, where="method")


def training_settings(**values):
    quick = {"epochs": 2, "batch_size": 32, "precision": "fp32", "device": "cpu", "evaluate_every": 0}
    return Training(**(quick | values))


def fit(dataset, method, *, network=None, seed=0, base=None, resume=None, role="student", **training):
    """Train `network`, or a short one, by `method`, settings or a mapping of some; `training` are of the training."""
    method = method if isinstance(method, Method) else method_settings(**method)
    settings = training_settings(**training)
    options = {"role": role, "seed": seed, "base": base, "resume": resume}
    return loop.train(dataset, network or SHORT, method, settings, **options)


def interrupted(dataset, method, *, before, **options):
    """Start a training that dies when the epoch `before`, counted from 0, begins."""
    original = loop.train_epoch

    def die(*args, **named):
        if named["epoch"] == before:
            raise KeyboardInterrupt
        return original(*args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_epoch", die)
        with pytest.raises(KeyboardInterrupt):
            fit(dataset, method, **options)


def with_validation(dataset, every=4):
    """The data set with every so-many-th training image in a validation split."""
    samples = dataset.samples.copy()
    rows = dataset.split("train")[0][::every]
    samples.loc[rows, "split"] = "validation"
    return replace(dataset, samples=samples)


def skewed(dataset, keep=3):
    """The data set whose training images of class 0 are mostly of group 0, and of class 1 of group 1.

    Of each of the other two cells `keep` images stay; the rest are the validation split.
    """
    samples = dataset.samples.copy()
    for label, group in ((0, 1), (1, 0)):
        cell = (samples["split"] == "train") & (samples["label"] == label) & (samples["group"] == group)
        samples.loc[samples.index[cell][keep:], "split"] = "validation"
    return replace(dataset, samples=samples)


def differing(a, b):
    """Names of the tensors of two modules' states, or of two mappings, that differ in any bit."""
    a, b = (x.state_dict() if isinstance(x, torch.nn.Module) else x for x in (a, b))
    assert a.keys() == b.keys()
    return [name for name in a if not torch.equal(a[name], b[name])]


def assert_same_bits(a, b, *, apart_from=()):
    """Two trainings ended with the same network, method, predictions and history, but for some of its columns."""
    assert differing(a.network, b.network) == []
    assert differing(a.method, b.method) == []
    assert all((a.probabilities[split] == b.probabilities[split]).all() for split in a.probabilities)
    a, b = (
        x.history.drop(columns=["seconds", "cpu_seconds", "images_per_second", *apart_from], errors="ignore")
        for x in (a, b)
    )
    assert a.equals(b)
