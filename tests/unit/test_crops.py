"""Images that are cropped: at random places in training, at their centre or not at all in evaluation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from method_trainings import assert_same_bits, fit, interrupted, network_settings
from torch.nn.functional import interpolate

from fairdistill.networks import build_network
from fairdistill.training.engines import load_engine
from fairdistill.training.loop import predict
from fairdistill.training.resume import ResumeState

CPU = torch.device("cpu")
ENGINES = ["fast", "reference"]
CROP, MARGIN = 5, 3


@pytest.fixture(autouse=True)
def without_workers(monkeypatch):
    monkeypatch.setattr(load_engine("reference"), "WORKERS", 0)


def cropping(dataset, size=CROP, **info):
    return replace(dataset, info=dataset.info | {"crop": size} | info)


def normalised(dataset, pixels):
    return torch.from_numpy((pixels / 255 - dataset.mean) / dataset.std).float().permute(0, 3, 1, 2)


def batch_of(engine, dataset, split="train", *, flips=None, offsets=None):
    """All images of a split in one batch."""
    images = load_engine(engine).Images(dataset, split, CPU)
    ((positions, _, batch),) = images.batches(torch.arange(len(images)), flips, len(images), offsets)
    assert positions.tolist() == list(range(len(images)))
    return batch


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("crop_test", ["centre", "whole"])
def test_a_training_image_is_cropped_at_its_offset_and_then_mirrored(tiny, engine, crop_test):
    offsets = torch.from_numpy(np.random.default_rng(0).integers(MARGIN, endpoint=True, size=(96, 2)))
    offsets[:4] = torch.tensor([[0, 0], [0, MARGIN], [MARGIN, 0], [MARGIN, MARGIN]])
    flips = torch.arange(96) % 3 == 0
    found = batch_of(engine, cropping(tiny, crop_test=crop_test), flips=flips, offsets=offsets)
    pixels = tiny.images[tiny.split("train")[0]]
    cut = [image[y : y + CROP, x : x + CROP] for image, (y, x) in zip(pixels, offsets.tolist(), strict=True)]
    wanted = np.stack([image[:, ::-1] if flip else image for image, flip in zip(cut, flips, strict=True)])
    torch.testing.assert_close(found, normalised(tiny, wanted), check_stride=False)
    assert engine == "reference" or found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("size", "edge"), [(7, 0), (6, 1), (5, 2), (4, 2), (1, 4)])
def test_evaluation_crops_at_the_centre(tiny, engine, size, edge):
    """Where the margin is odd, as torchvision's CenterCrop rounds."""
    pixels = tiny.images[tiny.split("test")[0]][:, edge : edge + size, edge : edge + size]
    found = batch_of(engine, cropping(tiny, size), "test")
    torch.testing.assert_close(found, normalised(tiny, pixels), check_stride=False)


def test_evaluation_can_shrink_the_whole_image(tiny):
    whole = cropping(tiny, crop_test="whole")
    fast, plain = (batch_of(engine, whole, "test") for engine in ENGINES)
    torch.testing.assert_close(fast, plain, check_stride=False)
    pixels = torch.from_numpy(tiny.images[tiny.split("test")[0]]).permute(0, 3, 1, 2).float()
    small = interpolate(pixels, size=(CROP, CROP), mode="bilinear", antialias=True, align_corners=False)
    # Pillow rounds to whole levels, after the rows and after the columns
    levels = (fast * torch.from_numpy(tiny.std)[:, None, None] + torch.from_numpy(tiny.mean)[:, None, None]) * 255
    assert (levels - small).abs().max() <= 1.01
    assert not torch.equal(fast, batch_of("fast", cropping(tiny), "test"))


def draws(dataset, monkeypatch, **options):
    """Order, flips and offsets of each epoch of a training."""
    images, found = load_engine("fast").Images, []
    original = images.batches

    def noting(self, order, flips, batch_size, offsets=None):
        if flips is not None and len(self) == len(dataset.split("train")[0]):
            found.append((order, flips, offsets))
        return original(self, order, flips, batch_size, offsets)

    with monkeypatch.context() as patch:
        patch.setattr(images, "batches", noting)
        fit(dataset, {"kind": "erm"}, **options)
    return found


def test_offsets_are_drawn_evenly_and_move_no_other_draw(tiny, monkeypatch):
    cropped, whole = (draws(dataset, monkeypatch, epochs=8) for dataset in (cropping(tiny), tiny))
    for ours, plain in zip(cropped, whole, strict=True):
        assert torch.equal(ours[0], plain[0])
        assert torch.equal(ours[1], plain[1])
        assert plain[2] is None
    assert not torch.equal(cropped[0][2], cropped[1][2])
    offsets = torch.cat([epoch[2] for epoch in cropped])
    assert offsets.shape == (8 * 96, 2)
    # 16 places, each expected 48 times with a standard deviation of 6.7
    count = torch.bincount(offsets[:, 0] * (MARGIN + 1) + offsets[:, 1], minlength=16)
    assert len(count) == 16
    assert (count > 48 - 5 * 6.7).all()
    assert (count < 48 + 5 * 6.7).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_crop_of_the_whole_image_changes_no_bit(tiny, engine):
    whole, plain = (fit(dataset, {"kind": "erm"}, engine=engine) for dataset in (cropping(tiny, 8), tiny))
    assert_same_bits(whole, plain)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("crop_test", ["centre", "whole"])
def test_predictions_are_of_the_images_as_evaluation_sees_them(tiny, engine, crop_test):
    dataset = cropping(tiny, crop_test=crop_test)
    trained = fit(dataset, {"kind": "erm"}, engine=engine)
    images = load_engine("fast").Images(dataset, "test", CPU)
    assert images.batch(torch.arange(2)).shape == (2, 3, CROP, CROP)
    found = predict(trained.network, trained.method, images).numpy()
    assert np.allclose(trained.probabilities["test"], found, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_base_is_asked_of_the_crops_that_the_student_sees(tiny, engine):
    """A student with the weights of its base, in the base's mode, is told just what it says itself."""
    torch.manual_seed(0)
    base = build_network(network_settings(), 3).eval()
    module = load_engine(engine)
    images = module.Images(cropping(tiny), "train", CPU)

    class Reader:
        base_layers = ()

        @staticmethod
        def read_base(output):
            return {"logits": output.logits}

    ask = module.BaseOutputs(base, Reader(), images, flip=True)
    offsets = torch.arange(96)[:, None].expand(96, 2) % (MARGIN + 1)
    for positions, flip, pixels in images.batches(torch.arange(96), torch.arange(96) % 2 == 0, 32, offsets):
        torch.testing.assert_close(ask(positions, flip, pixels)["logits"], base(pixels).logits)


def test_a_training_on_crops_is_resumed_to_the_bit(tiny, tmp_path):
    dataset = cropping(tiny)
    base = fit(dataset, {"kind": "erm"}, role="teacher").network
    options = {"base": base, "epochs": 3}
    whole = fit(dataset, {"kind": "mfd"}, **options)
    state = ResumeState(tmp_path / "state", {})
    interrupted(dataset, {"kind": "mfd"}, before=2, resume=state, **options)
    assert_same_bits(whole, fit(dataset, {"kind": "mfd"}, resume=state, **options))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_method_is_told_the_size_of_the_crops(tiny, engine):
    """With the CIFAR stem maps of crops of 5 px have one pixel, those of whole images of 9 px two by two."""
    base = build_network(network_settings("resnet18", "cifar"), 3)
    student = {"kind": "mfd", "features": "flattened"}
    wide = replace(tiny, images=np.pad(tiny.images, ((0, 0), (0, 1), (0, 1), (0, 0))))
    for dataset, pixels in ((cropping(wide), 1), (wide, 4)):
        trained = fit(dataset, student, base=base, engine=engine, epochs=1, batch_size=48)
        assert trained.method.regressors[0].weight.shape == (512 * pixels, 1024 * pixels)
