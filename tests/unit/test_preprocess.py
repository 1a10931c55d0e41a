"""What images pass before a network that was trained elsewhere."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from fairdistill.networks import build_network, load_network, save_network
from fairdistill.networks.preprocess import Preprocess, _resized
from fairdistill.runtime.errors import UserError
from fairdistill.settings.networks import ShuffleNetV2
from fairdistill.settings.preprocess import Preprocess as Settings

MEAN, STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
# none so bright or dark that a cubic curve leaves the scale
PIXELS = torch.from_numpy(np.random.default_rng(0).integers(80, 180, (2, 3, 20, 20), dtype=np.uint8))


def seen(settings):
    """What a network behind the preprocessing sees of images that are normalised by the data set's mean and sd."""
    normalise = v2.Normalize(MEAN, STD)
    return Preprocess(settings, data_mean=MEAN, data_std=STD)(normalise(PIXELS.float() / 255))


@pytest.mark.parametrize(
    ("size", "crop"), [(None, None), (32, None), (12, None), (32, 28), (31, 28), (33, 28), (20, 12), (20, 20)]
)
def test_the_network_sees_what_torchvision_s_transforms_make(size, crop):
    settings = Settings(size=size, crop=crop)
    resize = [v2.Resize(size, antialias=True)] if size else []
    cut = [v2.CenterCrop(crop)] if crop else []
    transform = v2.Compose([*resize, *cut, v2.Normalize(settings.mean, settings.std)])
    torch.testing.assert_close(seen(settings), transform(PIXELS.float() / 255), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_resizing_is_pillow_s_up_to_rounding(interpolation):
    found = seen(Settings(size=45, mean=[0, 0, 0], std=[1, 1, 1], interpolation=interpolation))
    resize = v2.Resize(45, interpolation=InterpolationMode(interpolation))
    wanted = torch.stack(
        [v2.functional.pil_to_tensor(resize(Image.fromarray(image.permute(1, 2, 0).numpy()))) for image in PIXELS]
    )
    assert (found * 255 - wanted).abs().max() < 1.5


@pytest.mark.parametrize(("interpolation", "same"), [("bilinear", True), ("bicubic", False), ("nearest", False)])
def test_on_tensors_torchvision_s_own_is_the_same_with_bilinear_alone(interpolation, same):
    """As the docstring says, which is where people compare."""
    pixels = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, 3, 20, 20), dtype=np.uint8)) / 255
    found = _resized(pixels, 45, interpolation)
    theirs = v2.functional.resize(pixels, [45, 45], interpolation=InterpolationMode(interpolation), antialias=True)
    assert torch.allclose(found, theirs, atol=1e-5) == same
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_checkpoint_keeps_it(tmp_path):
    settings = ShuffleNetV2(kind="shufflenet_v2_x0_5")
    network, images = build_network(settings, 3).eval(), torch.randn(2, 3, 20, 20)
    plain = network(images).logits
    network.preprocess = Preprocess(Settings(size=40), data_mean=MEAN, data_std=STD)
    save_network(tmp_path / "weights.safetensors", network, settings)
    again = load_network(tmp_path / "weights.safetensors", settings=settings).eval()
    assert again.preprocess.to_json() == network.preprocess.to_json()
    assert torch.equal(again(images).logits, network(images).logits)
    assert not torch.equal(again(images).logits, plain)


def test_what_is_stored_has_three_channels():
    stored = Preprocess(Settings(), data_mean=MEAN, data_std=STD).to_json() | {"data_mean": [0.5]}
    with pytest.raises(UserError, match="does not have the mean and standard deviation of three channels"):
        Preprocess.from_json(stored)
