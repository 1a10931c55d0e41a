"""The networks and their checkpoints."""

import subprocess
import sys

import pytest
import torch

from fairdistill.networks import build_network, freeze, load_method, load_network, save_network
from fairdistill.runtime.errors import UserError
from fairdistill.settings.networks import AnyNetwork, ResNet18, ShuffleNetV2
from fairdistill.settings.reading import read_settings

RESNET = ResNet18(kind="resnet18")
SHUFFLENET = ShuffleNetV2(kind="shufflenet_v2_x1_0")
WIDTHS = {
    RESNET.kind: 512,
    "resnet34": 512,
    "resnet50": 2048,
    "shufflenet_v2_x0_5": 1024,
    SHUFFLENET.kind: 1024,
    "shufflenet_v2_x2_0": 2048,
}


def settings_of(kind, **others):
    return read_settings(AnyNetwork, {"kind": kind, **others}, where="network")


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize(("kind", "width"), WIDTHS.items())
def test_features_are_what_the_head_sees(kind, width, stem):
    network = build_network(settings_of(kind, stem=stem), n_outputs=7).eval()
    features, logits, maps = network(torch.randn(2, 3, 32, 32))
    assert features.shape == (2, width)
    assert logits.shape == (2, 7)
    assert maps == {}
    assert torch.equal(logits, network.head(features))
    assert network.width == width


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("kind", WIDTHS)
def test_the_features_are_the_mean_of_the_last_map(kind, stem):
    network = build_network(settings_of(kind, stem=stem), n_outputs=3).eval()
    output = network(torch.randn(2, 3, 64, 64), [network.last_map])
    pixels = 2 if stem == "imagenet" else 8
    assert output.maps[network.last_map].shape == (2, network.width, pixels, pixels)
    torch.testing.assert_close(output.maps[network.last_map].mean((2, 3)), output.features)
    shapes = network.map_shapes(64, [network.last_map])
    assert shapes == {network.last_map: (network.width, pixels, pixels)}


@pytest.mark.parametrize("kind", WIDTHS)
def test_equals_torchvision_s_network(kind):
    from torchvision import models

    torch.manual_seed(3)
    ours = build_network(settings_of(kind), n_outputs=5).eval()
    torch.manual_seed(3)
    theirs = getattr(models, kind)(weights=None, num_classes=5).eval()
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(images).logits, theirs(images))


def test_the_cifar_stem_keeps_the_resolution():
    network = build_network(settings_of("resnet18", stem="cifar"), n_outputs=2)
    assert network.body.maxpool(network.body.conv1(torch.zeros(1, 3, 32, 32))).shape[-1] == 32


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("kind", ["resnet18", "resnet50", "shufflenet_v2_x0_5"])
def test_maps_have_one_pixel_up_to_the_size_that_the_layout_says(kind, stem):
    settings = settings_of(kind, stem=stem)
    network = build_network(settings, 3)
    for size in (8, 9, 16, 17, 32, 33):
        shapes = network.map_shapes(size, network.layers)
        single = {name for name, shape in shapes.items() if shape[1:].numel() == 1}
        assert settings.layout.of_one_pixel(size) == single


def test_a_checkpoint_round_trip(tmp_path):
    network = build_network(SHUFFLENET, n_outputs=4)
    save_network(tmp_path / "w.safetensors", network, SHUFFLENET)
    loaded = load_network(tmp_path / "w.safetensors", settings=SHUFFLENET)
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert load_method(tmp_path / "w.safetensors") == {}


def test_a_checkpoint_holds_what_its_method_predicts_with(tmp_path):
    network, state = build_network(SHUFFLENET, n_outputs=4), {"threshold.g": torch.tensor([0.1, 0.7])}
    save_network(tmp_path / "w.safetensors", network, SHUFFLENET, method=state)
    loaded = load_network(tmp_path / "w.safetensors", settings=SHUFFLENET)
    assert loaded.state_dict().keys() == network.state_dict().keys()
    found = load_method(tmp_path / "w.safetensors")
    assert list(found) == ["threshold.g"]
    assert torch.equal(found["threshold.g"], state["threshold.g"])


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    save_network(tmp_path / "w.safetensors", build_network(SHUFFLENET, 4), SHUFFLENET)
    with pytest.raises(UserError, match=r"w.safetensors.*shufflenet.*not.*resnet18"):
        load_network(tmp_path / "w.safetensors", settings=RESNET)


def test_a_checkpoint_that_cannot_be_read_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_network(path, build_network(SHUFFLENET, 4), SHUFFLENET)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be read as a checkpoint of this project"):
        load_network(path)


def test_weights_that_are_a_folder_or_missing_are_named(tmp_path):
    folder = tmp_path / "weights.safetensors"
    folder.mkdir()
    with pytest.raises(UserError, match=r"weights\.safetensors: is a folder; name a file of weights"):
        load_network(folder)
    with pytest.raises(UserError, match=r"none\.safetensors: cannot be read \(No such file .*\); name a file"):
        load_network(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "resnet19"}, "network: kind is \"resnet19\"; did you mean 'resnet18'?"),
        ({"kind": "resnet18", "stem": "big"}, 'network: stem is "big"; choose one of imagenet, cifar'),
        ({"kind": "resnet18", "width": 2}, "network has the unknown key 'width'; choose one of kind, stem, weights"),
    ],
)
def test_unknown_networks_are_named(settings, words):
    with pytest.raises(UserError) as error:
        read_settings(AnyNetwork, settings, where="network")
    assert str(error.value) == words


def test_a_frozen_network_has_no_gradient_and_fixed_statistics():
    base = freeze(build_network(SHUFFLENET, 4))
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    assert not base(torch.randn(4, 3, 32, 32)).features.requires_grad
    assert all(torch.equal(before[name], tensor) for name, tensor in base.state_dict().items())


def test_equal_networks_are_equal_bytes(tmp_path):
    """Within a process and in another: safetensors orders metadata anew each time."""
    command = (
        "import sys, torch; from fairdistill.networks import build_network, save_network; "
        "from fairdistill.settings.networks import ShuffleNetV2; torch.manual_seed(0); "
        "s = ShuffleNetV2(kind='shufflenet_v2_x1_0', stem='cifar'); save_network(sys.argv[1], build_network(s, 3), s)"
    )
    subprocess.run([sys.executable, "-c", command, tmp_path / "other"], check=True)
    torch.manual_seed(0)
    settings = ShuffleNetV2(kind="shufflenet_v2_x1_0", stem="cifar")
    network = build_network(settings, 3)
    for name in "abcde":
        save_network(tmp_path / name, network, settings)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
