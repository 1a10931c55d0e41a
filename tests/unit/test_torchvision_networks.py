"""Any classifier of torchvision by its name: what is written down of it, and that it is the same network."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn
from torchvision import models

from fairdistill.networks import build_network
from fairdistill.networks.describing import OWN, content, kinds, measure, without_memory
from fairdistill.networks.torchvision_models import build
from fairdistill.runtime.errors import UserError
from fairdistill.settings import torchvision_networks
from fairdistill.settings.networks import AnyNetwork, TorchVision
from fairdistill.settings.reading import read_settings
from fairdistill.settings.torchvision_networks import LAYOUTS, TorchVisionKind
from fairdistill.training.computing import choose_precision
from fairdistill.training.engines import fast, reference
from scripts import describe_networks

# one of each family that is made in another way, the quickest to make
FAMILIES = [
    "alexnet",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "swin_t",
    "vit_b_32",
]
OTHERS = [
    "convnext_tiny",
    "densenet121",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "swin_v2_t",
    "vgg11_bn",
]


def network_of(kind, n_outputs=5):
    torch.manual_seed(3)
    return build_network(TorchVision(kind=kind), n_outputs)


def test_every_classifier_of_torchvision_has_an_entry_or_a_reason():
    assert list(LAYOUTS) == kinds() == list(get_args(TorchVisionKind))
    everything = set(models.list_models(module=models))
    assert everything == {*LAYOUTS, *OWN, "squeezenet1_0", "squeezenet1_1"}


def test_the_file_of_entries_is_as_the_script_writes_it_from_wherever_it_runs():
    target = describe_networks.TARGET
    assert target.read_text(encoding="utf-8") == content(LAYOUTS)
    assert target == Path(torchvision_networks.__file__)


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_entry_is_what_the_network_shows(kind):
    assert measure(kind) == LAYOUTS[kind]


@pytest.mark.parametrize("kind", OTHERS)
def test_the_parts_are_where_the_entry_says(kind):
    with without_memory():
        body, head = build(TorchVision(kind=kind), 5)
    assert (type(head), head.out_features) == (nn.Linear, 5)
    layout = LAYOUTS[kind]
    assert isinstance(body.get_submodule(layout.head), nn.Identity)
    assert all(body.get_submodule(name) for name in layout.layers)
    assert layout.last_map == layout.layers[-1]


@pytest.mark.parametrize("kind", ["mobilenet_v3_small", "mnasnet0_5"])
def test_it_is_torchvision_s_network_with_the_features_before_its_last_layer(kind):
    network = network_of(kind).eval()
    torch.manual_seed(3)
    theirs = models.get_model(kind, weights=None, num_classes=5).eval()
    images = torch.randn(2, 3, 64, 64)
    output = network(images, network.layers)
    assert torch.equal(output.logits, theirs(images))
    assert torch.equal(output.logits, network.head(output.features))
    assert output.features.shape == (2, network.width)
    edges = [values.shape[2:] for values in output.maps.values()]
    assert edges == sorted({(edge, edge) for edge, _ in edges}, reverse=True)
    assert {name: values.shape[1:] for name, values in output.maps.items()} == network.map_shapes(64, network.layers)


def test_maps_whose_channels_come_last_are_turned():
    network = network_of("swin_t").eval()
    output = network(torch.randn(2, 3, 64, 64), [network.last_map])
    assert output.maps["norm"].shape == (2, 768, 2, 2)
    torch.testing.assert_close(output.maps["norm"].mean((2, 3)), output.features)


@pytest.mark.parametrize("kind", ["mobilenet_v3_small", "mnasnet0_5"])
def test_the_fast_engine_computes_the_same(kind):
    network, plain = network_of(kind).double().train(), network_of(kind).double().train()
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    fast.prepare(network, nn.Module(), torch.device("cpu"), 32)
    torch.manual_seed(0)
    found = network(images.contiguous(memory_format=torch.channels_last)).logits
    torch.manual_seed(0)
    torch.testing.assert_close(found, plain(images).logits)


@pytest.mark.parametrize("native", [True, False])
def test_on_a_cpu_every_kind_is_computed_in_bf16_where_it_is_native(monkeypatch, native):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    for kind in ("mobilenet_v3_small", "resnet18"):
        assert choose_precision("auto", torch.device("cpu"), fast, kind) == ("bf16" if native else "fp32")
        assert choose_precision("auto", torch.device("cpu"), reference, kind) == "fp32"
        assert choose_precision("bf16", torch.device("cpu"), fast, kind) == "bf16"


def test_on_a_gpu_what_was_never_measured_is_computed_in_full_precision():
    assert fast.bf16_pays(torch.device("cuda"), "resnet18")
    assert not fast.bf16_pays(torch.device("cuda"), "mobilenet_v3_small")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("squeezenet1_0", "network: kind is squeezenet1_0, which has no linear layer at its end, whose input would be"),
        ("mobilenet_v3_smal", "network: kind is \"mobilenet_v3_smal\"; did you mean 'mobilenet_v3_small'?"),
    ],
)
def test_a_network_that_there_is_none_of_is_one_line(given, message):
    with pytest.raises(UserError) as error:
        read_settings(AnyNetwork, {"kind": given}, where="network")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("vit_b_16", 64, "takes images of 224 px, and those of the data set have 64"),
        ("inception_v3", 32, "takes images of 75 px and more, and those of the data set have 32"),
    ],
)
def test_images_of_another_size_are_refused(kind, size, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        TorchVision(kind=kind).check_image_size(size)
