"""Weights that other programs saved: every form in which they come, and what is said of those that do not fit."""

import argparse
import pickle
import re
import zipfile
from pathlib import PurePosixPath

import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision import models

from fairdistill.networks import build_network, load_facts, load_network, save_network
from fairdistill.networks.describing import without_memory
from fairdistill.networks.foreign import _find_weights, load_weights, order_outputs, read_facts, read_weights
from fairdistill.networks.preprocess import Preprocess
from fairdistill.networks.recognising import kinds_that_fit
from fairdistill.networks.weight_names import without_prefixes
from fairdistill.runtime.errors import UserError
from fairdistill.settings.networks import ResNet18, ShuffleNetV2
from fairdistill.settings.preprocess import Preprocess as Expected

KIND = "shufflenet_v2_x0_5"
SETTINGS = ShuffleNetV2(kind=KIND)
IMAGES = torch.rand(4, 3, 32, 32)


@pytest.fixture(scope="module")
def theirs():
    """A model that was made with torchvision alone."""
    torch.manual_seed(1)
    return models.get_model(KIND, num_classes=3).eval()


@pytest.fixture
def state(theirs):
    return {name: value.clone() for name, value in theirs.state_dict().items()}


def loaded(path, *, n_outputs=3, settings=SETTINGS, new_head=False):
    network = build_network(settings, n_outputs)
    return network.eval(), load_weights(path, network, settings, new_head=new_head)


def refused(path, **options):
    with pytest.raises(UserError) as error:
        loaded(path, **options)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert not re.search("damaged|corrupt|delete", message)
    return message.removeprefix(f"{path}: ")


# what a program saved, and what the log says of it
FORMS = {
    "a state dict": (lambda state: state, []),
    "of DataParallel": (
        lambda state: {f"module.{name}": value for name, value in state.items()},
        ["'module.' was taken off the names of its weights"],
    ),
    "of Lightning": (
        lambda state: {
            "state_dict": {f"model.{name}": value for name, value in state.items()},
            "epoch": 3,
            "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}}],
        },
        ["its weights were read from state_dict", "'model.' was taken off the names of its weights"],
    ),
    "of torchvision's references": (
        lambda state: {
            "model": state,
            "optimizer": {"state": {0: {"step": torch.ones(1)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
            "lr_scheduler": {"last_epoch": 1},
            "epoch": 1,
            "args": argparse.Namespace(model="resnet18", lr=0.1, amp=False, clip=None, lr_steps=[30, 60]),
        },
        ["its weights were read from model"],
    ),
    "of timm's CheckpointSaver": (
        lambda state: {
            "epoch": 1,
            "arch": "resnet18",
            "state_dict": state,
            "optimizer": {"state": {0: {"step": torch.ones(1)}}, "param_groups": []},
            "version": 2,
            "args": argparse.Namespace(model="resnet18", mean=None, opt_betas=[0.9, 0.99]),
            "metric": 0.9,
        },
        ["its weights were read from state_dict"],
    ),
    "compiled, with a backbone": (
        lambda state: {"model_state": {f"_orig_mod.backbone.{name}": value for name, value in state.items()}},
        ["its weights were read from model_state", "'_orig_mod.backbone.' was taken off the names of its weights"],
    ),
    "nested, with a head of its own": (
        lambda state: {
            "saved": {"the_student": {name if "fc." in name else f"net.{name}": v for name, v in state.items()}}
        },
        ["its weights were read from saved > the_student", "'net.' was taken off the names of its weights"],
    ),
    "with a step beside it": (
        lambda state: {"ema": state, "step": torch.tensor(5)},
        ["its weights were read from ema"],
    ),
    "with its accuracy beside it": (
        lambda state: {"my_net": state, "best_acc": torch.tensor(0.9), "epoch": 3},
        ["its weights were read from my_net"],
    ),
    "with optimizers beside it": (
        lambda state: {
            "optimizer": {"exp_avg": torch.ones(2)},
            "adam": {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
            "trainer": {"optim_g": {"exp_avg": torch.ones(2)}},
            "net_g": state,
        },
        ["its weights were read from net_g"],
    ),
    "in half precision": (
        lambda state: {name: v.half() if v.is_floating_point() else v for name, v in state.items()},
        [],
    ),
}


@pytest.mark.parametrize(("form", "said"), FORMS.values(), ids=FORMS)
def test_a_checkpoint_of_torch_is_the_same_model_and_what_was_done_is_said(form, said, state, theirs, tmp_path):
    torch.save(form(state), tmp_path / "model.pth")
    network, notes = loaded(tmp_path / "model.pth")
    assert notes == said
    tolerance = 1e-2 if form is FORMS["in half precision"][0] else 0
    torch.testing.assert_close(network(IMAGES).logits, theirs(IMAGES), rtol=tolerance, atol=tolerance)


def test_files_of_safetensors_and_of_old_versions_of_torch_are_read(state, theirs, tmp_path):
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("model.safetensors", "old.pth"):
        assert torch.equal(loaded(tmp_path / name)[0](IMAGES).logits, theirs(IMAGES))


def test_a_model_of_this_project_is_read(tmp_path):
    network = build_network(SETTINGS, 3)
    save_network(tmp_path / "weights.safetensors", network, SETTINGS)
    again, notes = loaded(tmp_path / "weights.safetensors")
    assert torch.equal(again(IMAGES).logits, network.eval()(IMAGES).logits)
    assert notes == []


def test_a_model_of_this_project_that_is_more_than_its_network_is_refused(tmp_path):
    path, network = tmp_path / "weights.safetensors", build_network(SETTINGS, 3)
    save_network(path, network, SETTINGS, method={"threshold": torch.ones(2)})
    assert refused(path).startswith("is a model of this project whose method predicts with more than the network (meth")
    network.preprocess = Preprocess(Expected(size=64), data_mean=[0.5] * 3, data_std=[0.2] * 3)
    save_network(path, network, SETTINGS)
    assert refused(path).startswith("was imported itself; give the file that it was imported from")


def test_a_head_of_another_name_is_found_by_its_shape(state, theirs, tmp_path):
    renamed = {name.replace("fc.", "classifier.1."): value for name, value in state.items()}
    torch.save(renamed, tmp_path / "model.pth")
    network, notes = loaded(tmp_path / "model.pth")
    assert notes == ["its last linear layer, classifier.1, is taken for the network's fc"]
    assert torch.equal(network(IMAGES).logits, theirs(IMAGES))


def test_a_head_for_other_classes_is_made_anew_where_it_may_be(state, theirs, tmp_path):
    path = tmp_path / "model.pth"
    torch.save(state, path)
    network, notes = loaded(path, n_outputs=7, new_head=True)
    assert notes == ["it has 3 outputs, and 7 are wanted: the head is made anew"]
    theirs_without = models.get_model(KIND, num_classes=3).eval()
    theirs_without.load_state_dict(state)
    theirs_without.fc = nn.Identity()
    assert torch.equal(network(IMAGES).features, theirs_without(IMAGES))
    torch.save({name: value for name, value in state.items() if not name.startswith("fc.")}, path)
    assert loaded(path, new_head=True)[1] == ["it has no outputs, and 3 are wanted: the head is made anew"]
    assert refused(path).startswith(f"does not hold the network {KIND}: it lacks fc.weight, fc.bias; name the kind")


def test_the_number_of_outputs_is_that_of_the_classes(state, tmp_path):
    torch.save(state, tmp_path / "model.pth")
    assert refused(tmp_path / "model.pth", n_outputs=4) == (
        "the model has 3 outputs, and the data set 4 classes; give a model with one output for each class"
    )


def test_a_head_without_a_bias_is_called_so(state, tmp_path):
    del state["fc.bias"]
    torch.save(state, tmp_path / "model.pth")
    assert refused(tmp_path / "model.pth") == (
        f"its head, fc, has no bias, which that of {KIND} has; save the file again with fc.bias beside fc.weight, a "
        "zero for each output, which changes no prediction"
    )
    assert loaded(tmp_path / "model.pth", new_head=True)[1] == ["its head, fc, has no bias: the head is made anew"]


def test_a_transposed_head_is_called_so(state, tmp_path):
    """As libraries save it whose linear layers are inputs x outputs."""
    torch.save(state | {"fc.weight": state["fc.weight"].T.contiguous()}, tmp_path / "model.pth")
    assert refused(tmp_path / "model.pth") == (
        "fc.weight is of 1024 x 3, inputs x outputs, so that it is transposed; save the file again with it the other "
        "way round, as torch has it (weight.T)"
    )
    assert loaded(tmp_path / "model.pth", new_head=True)[1] == [
        "the weight of its head, fc, is transposed (1024 x 3, inputs x outputs): the head is made anew"
    ]


def test_a_counter_is_the_number_that_it_is_in_whatever_shape(state, theirs, tmp_path):
    listed = {name: v[None] if name.endswith("num_batches_tracked") else v for name, v in state.items()}
    torch.save(listed, tmp_path / "model.pth")
    assert torch.equal(loaded(tmp_path / "model.pth")[0](IMAGES).logits, theirs(IMAGES))


@pytest.mark.parametrize(
    "meaning",
    [
        "shufflenet",
        '{"preprocess": {"size": 9}}',
        '{"model": "ours", "settings": {}}',
        '{"settings": "default"}',
        "[1]",
    ],
)
def test_metadata_of_another_program_are_not_taken_for_those_of_this_project(meaning, state, theirs, tmp_path):
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(state, path, {"network": meaning, "preprocess": "resize", "model": "best"})
    assert torch.equal(loaded(path)[0](IMAGES).logits, theirs(IMAGES))
    assert read_facts(path) is None
    for reader in (load_network, load_facts):
        with pytest.raises(UserError, match="does not name its network"):
            reader(path)


@pytest.mark.parametrize("kind", ["inception_v3", "googlenet"])
def test_a_network_is_known_by_its_weights_with_auxiliary_classifiers(kind):
    with without_memory():
        weights = models.get_model(kind, num_classes=7, init_weights=False).state_dict()
    assert kinds_that_fit({f"module.{name}": weight for name, weight in weights.items()}) == [kind]


def test_one_output_for_two_classes_is_a_sigmoid(tmp_path):
    one = models.get_model(KIND, num_classes=1).eval()
    torch.save(one.state_dict(), tmp_path / "model.pth")
    network, notes = loaded(tmp_path / "model.pth", n_outputs=2)
    assert notes == ["its one output was taken for that of a sigmoid, which is the probability of the second class"]
    torch.testing.assert_close(network(IMAGES).logits.softmax(1)[:, 1], one(IMAGES).sigmoid()[:, 0])
    assert refused(tmp_path / "model.pth").startswith("the model has 1 output, and the data set 3 classes; give a")
    # a training that starts from it has classes of its own
    _, notes = loaded(tmp_path / "model.pth", n_outputs=2, new_head=True)
    assert notes == ["it has 1 output, and 2 are wanted: the head is made anew"]


def test_what_helped_in_training_is_left_out_and_said(state, tmp_path):
    torch.save(state | {"criterion.weight": torch.ones(3)}, tmp_path / "model.pth")
    assert loaded(tmp_path / "model.pth")[1] == ["it has criterion.weight beside the network, which are left out"]


def without(state, part):
    return {name: value for name, value in state.items() if part not in name}


WRONG = {
    "another network": (
        lambda state: models.mobilenet_v3_small(num_classes=3).state_dict(),
        r"does not hold the network shufflenet_v2_x0_5: it lacks conv1.0.weight, .*, \.\.\. \(\d+ in all\) and has f.*"
        "; its weights are those of mobilenet_v3_small: name that network",
    ),
    "a part": (
        lambda state: without(state, "stage3"),
        r"does not hold .*: it lacks stage3.0.branch1.0.weight, .* in all",
    ),
    "a layer more": (lambda state: state | {"extra.weight": torch.ones(2)}, r"does .*: it has extra.weight beside it;"),
    "another width": (
        lambda state: models.shufflenet_v2_x1_5(num_classes=3).state_dict(),
        r"does .*: it has stage2.0.branch1.2.weight of 88 x 24 x 1 x 1 in place of 24 x 24 x 1 x 1, .* in all\); its "
        "weights are those of shufflenet_v2_x1_5: name that network",
    ),
    "two of a weight": (
        lambda state: state | {"module.fc.bias": state["fc.bias"]},
        "holds fc.bias and module.fc.bias, which would be one weight of the network",
    ),
    "no number": (
        lambda state: state | {"fc.bias": torch.full((3,), torch.nan)},
        "fc.bias are not finite, so that the",
    ),
    "no weights": (
        lambda state: {"epoch": 1, "history": {"loss": 2.0}},
        "holds epoch, history, and no weights among it",
    ),
    "an optimizer": (
        lambda state: {"epoch": 1, "optimizer": {"exp_avg": torch.ones(2)}},
        "holds epoch, optimizer, and no weights among it",
    ),
    "a list": (lambda state: [state], "holds list, and no weights among it that are to be found; in the program that"),
    "settings of a program": (
        lambda state: {"state_dict": state, "args": argparse.Namespace(data=PurePosixPath("images"))},
        r"holds objects of pathlib\S+, and to read them would run code, which this project does not do; in the ",
    ),
    "a whole model": (
        lambda state: nn.Sequential(nn.Linear(2, 2)),
        r"holds objects of torch.nn.modules.*run code.* save the weights alone, torch.save\(model.state_dict\(\), ",
    ),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_named(content, message, state, tmp_path):
    torch.save(content(state), tmp_path / "model.pth")
    before = (tmp_path / "model.pth").read_bytes()
    assert re.match(message, refused(tmp_path / "model.pth"))
    assert (tmp_path / "model.pth").read_bytes() == before


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("epoch,loss\n1,0.5\n")


def pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def cut(path):
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


def cut_safetensors(path):
    safetensors.torch.save_file({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "weights")


def program(path):
    torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (empty, "is empty; give a safetensors file, or one that torch.save wrote of a state dict"),
        (text, "is no checkpoint that torch can read; give a safetensors file"),
        (pointer, "is a pointer of Git LFS, and not the checkpoint; fetch the file itself by `git lfs pull`"),
        (cut, r"is no checkpoint that torch can read \(.*\); if torch.save wrote it, it is incomplete; give"),
        (
            cut_safetensors,
            r"begins as a safetensors file, but cannot be read as one \(.*\); compare it with its source",
        ),
        (archive, "is a zip file, but not one that torch.save wrote; give"),
        (program, "is a TorchScript archive, which is a program and not weights; in the program that wrote it, save"),
        (lambda path: path.mkdir(), "is a folder, and not a checkpoint; give"),
        (
            lambda path: path.write_bytes(pickle.dumps({"a": 1})),
            "holds more than weights, or was not written by torch.s",
        ),
    ],
    ids=["empty", "text", "pointer", "cut", "cut safetensors", "zip", "TorchScript", "folder", "pickle"],
)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_file_of_another_kind_is_called_what_it_is(write, message, tmp_path):
    write(tmp_path / "model.pth")
    assert re.match(message, refused(tmp_path / "model.pth"))


def test_nothing_in_a_file_is_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "run"), "w"))

    for options in ({}, {"_use_new_zipfile_serialization": False}):
        torch.save({"a": torch.ones(1), "b": Payload()}, tmp_path / "model.pth", **options)
        with pytest.raises(UserError, match="run code, which"):
            read_weights(tmp_path / "model.pth")
    assert not (tmp_path / "run").exists()


def test_the_stem_is_named_where_it_may_be_the_reason(tmp_path):
    torch.save(models.resnet18(num_classes=3).state_dict(), tmp_path / "model.pth")
    message = refused(tmp_path / "model.pth", settings=ResNet18(kind="resnet18", stem="cifar"))
    assert message == (
        "does not hold the network resnet18 with this stem: it has conv1.weight of 64 x 3 x 7 x 7 in place of "
        "64 x 3 x 3 x 3; its weights are those of resnet18 with `stem: imagenet`: name that network"
    )


def test_old_names_of_densenets_are_known():
    old = "module.features.denseblock1.denselayer1.norm.1.weight"
    assert without_prefixes(old, []) == "features.denseblock1.denselayer1.norm1.weight"


def test_outputs_are_put_in_the_order_of_the_classes():
    network = build_network(SETTINGS, 3).eval()
    before = network(IMAGES).logits
    order_outputs(network, ["cat", "dog", "ant"], ["ant", "cat", "dog"], where="model.pth: classes")
    assert torch.equal(network(IMAGES).logits, before[:, [2, 0, 1]])


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (
            ["cat", "dgo", "ant"],
            "names dgo, which the data set does not have, and does not name dog, which the data set has; the",
        ),
        (["cat", "cat", "dog"], "names 'cat' twice; name each output of the model once"),
        (["cat", "dog"], "does not name ant, which the data set has; the classes of the data set are ant, cat, dog"),
    ],
)
def test_names_that_are_not_those_of_the_classes_are_said(outputs, message):
    network = build_network(SETTINGS, 3)
    with pytest.raises(UserError) as error:
        order_outputs(network, outputs, ["ant", "cat", "dog"], where="model.pth: classes")
    assert str(error.value).startswith(f"model.pth: classes {message}")


def test_the_project_s_own_reader_calls_no_file_damaged(tmp_path):
    torch.save(models.resnet18(num_classes=3).state_dict(), tmp_path / "teacher.pth")
    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "other.safetensors")
    for name, reason in (("teacher.pth", "cannot be read as"), ("other.safetensors", "does not name its network")):
        with pytest.raises(UserError) as error:
            load_network(tmp_path / name)
        assert reason in str(error.value)
        assert "is imported first (docs/own_teacher.md)" in str(error.value)
        assert not re.search("damaged|delete", str(error.value))


def of(state, name, change):
    """The state with one weight changed."""
    return state | {name: change(state[name])}


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("fc.weight", torch.Tensor.to_sparse, "fc.weight are no dense tensors"),
        ("fc.weight", torch.Tensor.to_sparse_csr, "fc.weight are no dense tensors"),
        ("fc.weight", lambda weight: weight.to("meta"), "fc.weight are no dense tensors"),
        ("fc.weight", lambda weight: weight.to(torch.int8), "fc.weight are no real floating-point numbers"),
        ("fc.weight", lambda weight: weight.to(torch.complex64), "fc.weight are no real floating-point numbers"),
        ("fc.weight", lambda weight: weight.double() * 1e300, "fc.weight are not finite"),
        ("conv5.1.running_var", torch.Tensor.neg, "conv5.1.running_var are variances below zero"),
        (
            "fc.weight",
            lambda weight: weight[0, 0],
            f"does not hold the network {KIND} with this stem: it has fc.weight of a",
        ),
        (
            "fc.weight",
            lambda weight: weight[0],
            f"does not hold the network {KIND} with this stem: it has fc.weight of 10",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_weights_that_are_no_plain_numbers_are_refused(state, tmp_path, name, change, what):
    torch.save(of(state, name, change), tmp_path / "model.pth")
    assert refused(tmp_path / "model.pth").startswith(what)


def test_weights_of_eight_bits_are_numbers(state, theirs, tmp_path):
    torch.save(
        {name: v.to(torch.float8_e5m2) if v.is_floating_point() else v for name, v in state.items()}, tmp_path / "m"
    )
    network, notes = loaded(tmp_path / "m")
    assert notes == []
    assert torch.equal(network.head.weight, state["fc.weight"].to(torch.float8_e5m2).float())


def test_a_file_that_changed_after_it_was_written_is_refused(state, tmp_path):
    path = tmp_path / "model.pth"
    torch.save(state, path)
    content = bytearray(path.read_bytes())
    place = bytes(content).index(state["fc.weight"].numpy().tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert re.match(r"model/data/\d+ in it is not as it was written, by its checksum; compare", refused(path))


def test_of_two_sets_of_weights_the_one_that_is_left_aside_is_said(state, theirs, tmp_path):
    other = {name: torch.zeros_like(value) for name, value in state.items()}
    torch.save({"state_dict": state, "state_dict_ema": other, "optimizer": {"step": torch.ones(1)}}, tmp_path / "m.pth")
    network, notes = loaded(tmp_path / "m.pth")
    assert notes == [
        "its weights were read from state_dict",
        "it has state_dict and state_dict_ema, of which state_dict is taken",
    ]
    assert torch.equal(network(IMAGES).logits, theirs(IMAGES))


def test_averaged_weights_of_torch_are_read(theirs, tmp_path):
    torch.save(torch.optim.swa_utils.AveragedModel(theirs).state_dict(), tmp_path / "model.pth")
    network, notes = loaded(tmp_path / "model.pth")
    assert notes == [
        "'module.' was taken off the names of its weights",
        "it has n_averaged beside the network, which are left out",
    ]
    assert torch.equal(network(IMAGES).logits, theirs(IMAGES))


def test_a_prefix_of_any_name_before_all_weights_is_taken_off(state, theirs, tmp_path):
    torch.save({f"wrapped.trunk.{name}": value for name, value in state.items()}, tmp_path / "model.pth")
    network, notes = loaded(tmp_path / "model.pth")
    assert notes == ["'wrapped.trunk.' was taken off the names of its weights"]
    assert torch.equal(network(IMAGES).logits, theirs(IMAGES))


# each would be searched without an end, or for longer than anybody waits
def beside_itself(state):
    content = {**state}
    content["model"] = content
    return content


def in_a_ring(state):
    content = {"model": {"net": {"epoch": 1, **state}}}
    content["model"]["net"]["model"] = content["model"]
    return content


def the_same_twice(state):
    content = {"epoch": 1}
    for _ in range(40):
        content = {"before": content, "after": content}
    return {"history": content, **state}


def deep(state):
    content = {"epoch": 1}
    for _ in range(2000):
        content = {"before": content}
    return {"history": content, **state}


@pytest.mark.parametrize("form", [beside_itself, in_a_ring, the_same_twice, deep])
def test_weights_are_found_in_dictionaries_of_any_form(form, state):
    found, _ = _find_weights("model.pth", form(state))
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_a_dictionary_that_holds_itself_and_no_weights_is_no_loop(tmp_path):
    content = {"epoch": 1}
    content["itself"] = content
    torch.save(content, tmp_path / "model.pth")
    assert "and no weights among it that are to be found" in refused(tmp_path / "model.pth")


def test_of_two_sets_of_weights_under_names_of_their_own_neither_is_taken(state, tmp_path):
    torch.save({"epoch": 1, "model_ema": state, "ema": state}, tmp_path / "model.pth")
    assert refused(tmp_path / "model.pth").startswith(
        "holds weights in model_ema and ema, and which of them are meant is not to be told; in the program that wrote"
    )


def test_a_file_that_unpacks_to_more_than_it_holds_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    """Packed, zeros take a thousandth of their space."""
    torch.save({"a": torch.zeros(1_000_000)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "model.pth", "w") as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name), zipfile.ZIP_DEFLATED)
    monkeypatch.delattr(zipfile.ZipFile, "testzip")
    assert refused(tmp_path / "model.pth").startswith(
        "is a zip file that unpacks to 4.0 MB and has 0.0, as torch.save writes none; give a safetensors file, or"
    )


def test_an_archive_whose_list_of_contents_is_not_whole_is_one_line(state, tmp_path):
    path = tmp_path / "model.pth"
    torch.save(state, path)
    # the first entry of the list
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x09\x09", 1))
    assert refused(path).startswith("is no checkpoint that torch can read")
