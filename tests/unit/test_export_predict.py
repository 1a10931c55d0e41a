"""Predictions of exported models for picture files, by onnxruntime alone."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread

import numpy as np
import onnx
import pytest
from PIL import Image

from fairdistill.data import load_dataset
from fairdistill.export.files import INT8, MODEL
from fairdistill.export.pictures import read_picture
from fairdistill.export.prediction import Failure, Prediction, find_images, open_model, predict_images
from fairdistill.export.preprocessor import KEY
from fairdistill.export.sessions import ExportedModel
from fairdistill.runtime.errors import UserError
from fairdistill.settings.checkpoints import ModelFacts
from scripts import predict

ROOT = Path(__file__).parents[2]
# predicts as the command line does, where nothing but what prediction needs is installed
ALONE = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "torchvision", "onnx", "pandas", "safetensors", "scipy", "sklearn"}:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, NotInstalled())
from scripts.predict import main
from fairdistill.runtime.errors import run_script
run_script(main)
"""


def as_files(dataset, folder):
    """Write the 24 test images to a folder inside of one, which is returned; names are in the order of the data set."""
    folder = folder / "bilder für heute" / "日本"
    folder.mkdir(parents=True)
    for number, row in enumerate(dataset.split("test")[0]):
        Image.fromarray(dataset.images[row]).save(folder / f"é {number:02}.png")
    return folder.parent


@pytest.fixture
def pictures(tiny_folder, tmp_path):
    return as_files(load_dataset(tiny_folder), tmp_path)


def expected(model, dataset):
    rows, _, group = dataset.split("test")
    return ExportedModel(model, threads=1).predict(dataset.images[rows], group)


def run(monkeypatch, capsys, *arguments):
    """The table that the script prints, what it says on stderr, and its error."""
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
    error = None
    try:
        predict.main()
    except UserError as raised:
        error = str(raised)
    out, err = capsys.readouterr()
    return list(csv.DictReader(io.StringIO(out))), err, error


def test_it_needs_the_exported_file_alone_and_neither_torch_nor_pandas(exported, pictures, tiny, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(exported / MODEL, alone)
    (pictures / "no image.jpg").write_text("text")
    command = [sys.executable, "-c", ALONE, alone, pictures, "nowhere.png", "--batch-size", "5"]
    options = {"cwd": tmp_path, "env": {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}, "encoding": "utf-8"}
    done = subprocess.run([*map(str, command)], capture_output=True, **options)
    table = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [Path(row["path"]).name for row in table] == [f"é {number:02}.png" for number in range(24)], done.stderr
    found = np.array([[float(row[f"p_{name}"]) for name in "abc"] for row in table])
    probabilities = expected(exported / MODEL, tiny)
    np.testing.assert_allclose(found, probabilities, atol=1e-5)
    assert [row["prediction"] for row in table] == ["abc"[k] for k in probabilities.argmax(1)]
    # the bad ones are named, and the exit code says that there were some
    assert done.returncode == 1
    bad, gone, rate, last = done.stderr.splitlines()
    assert bad.startswith(
        f"error: {pictures / 'no image.jpg'}: not an image that can be decoded (not a picture in a format "
    )
    assert gone == "error: nowhere.png: there is no such file"
    assert rate.startswith("24 images predicted, ")
    assert last == "error: 2 of 26 images could not be predicted; they are named above"


def test_a_table_of_paths_is_read_from_where_it_lies(exported, pictures, tiny, tmp_path, monkeypatch, capsys):
    paths = ["日本/é 03.png", "日本/é 01.png", str(pictures / "日本" / "é 02.png")]
    # as spreadsheets write it
    (pictures / "list.csv").write_text("note,file\n" + "".join(f"x,{path}\n" for path in paths), encoding="utf-8-sig")
    output = tmp_path / "new" / "out.csv"
    options = (exported / INT8, pictures / "list.csv", "--column", "file", "--output", output)
    table, said, error = run(monkeypatch, capsys, *options)
    assert (table, error) == ([], None)
    assert said.startswith("3 images predicted, ")
    rows = list(csv.DictReader(io.StringIO(output.read_text(encoding="utf-8"))))
    assert [row["path"] for row in rows] == paths
    found = [[float(row[f"p_{name}"]) for name in "abc"] for row in rows]
    np.testing.assert_allclose(found, expected(exported / INT8, tiny)[[3, 1, 2]], atol=2e-3)


def test_a_model_that_needs_the_group_gets_it_from_a_table_or_for_all(
    exported_of_group, cropped_folder, tmp_path, monkeypatch, capsys
):
    dataset = load_dataset(cropped_folder)
    pictures = as_files(dataset, tmp_path)
    _, _, group = dataset.split("test")
    lines = [f"日本/é {number:02}.png\t{dataset.groups[a]}" for number, a in enumerate(group)]
    (pictures / "list.tsv").write_text("\n".join(["path\tgroup", *lines, "日本/é 00.png\tnobody"]), encoding="utf-8")
    table, said, error = run(
        monkeypatch, capsys, exported_of_group, pictures / "list.tsv", "--group-column", "group", "--batch-size", 10
    )
    found = np.array([[float(row[f"p_{name}"]) for name in "abc"] for row in table])
    model = open_model(exported_of_group, threads=1)
    rows = dataset.split("test")[0]
    images = dataset.images[rows][:, 1:9, 1:9]
    np.testing.assert_allclose(found, model.predict(images, group), atol=1e-5)
    assert "é 00.png: its group is 'nobody', and the model knows g, h; " in said
    assert error == "1 of 25 images could not be predicted; they are named above"
    one, *_ = run(monkeypatch, capsys, exported_of_group, pictures / "日本" / "é 00.png", "--group", "h")
    assert [float(one[0][f"p_{name}"]) for name in "abc"] == pytest.approx(
        model.predict(images[:1], np.array([1]))[0].tolist(), abs=1e-5
    )


def test_what_cannot_be_used_is_one_line(exported, exported_of_group, tmp_path, monkeypatch, capsys):
    def error(*arguments):
        return run(monkeypatch, capsys, *arguments)[2]

    (tmp_path / "other.onnx").write_bytes(b"no model")
    (tmp_path / "latin.csv").write_bytes("path\nfür.png\n".encode("latin-1"))
    (tmp_path / "plain.csv").write_text("image,label\na.png,x\n")
    (tmp_path / "empty.csv").write_text("")
    assert error(tmp_path / "none", "a.png").endswith("none: there is no such file; give the folder of an exported "
                                                      "model, or its model.onnx")  # fmt: skip
    assert "other.onnx: not an ONNX model that onnxruntime can read (" in error(tmp_path / "other.onnx", "a.png")
    (tmp_path / "header.csv").write_text("path\n")
    assert "latin.csv: line 2 is not UTF-8 (it has the byte 0xfc); save" in error(exported, tmp_path / "latin.csv")
    assert "has no column 'path'; it has 'image', 'label'" in error(exported, tmp_path / "plain.csv")
    assert "empty.csv: line 1 names no columns" in error(exported, tmp_path / "empty.csv")
    assert "header.csv: has no row below the names" in error(exported, tmp_path / "header.csv")
    assert "gone.csv: there is no such file; give a table" in error(exported, tmp_path / "gone.csv")
    assert error(exported, "a.png", "--column", "x").startswith("--column: there is no table among the images")
    assert error(exported_of_group, "a.png", "--group-column", "x").startswith("--group-column: there is no table")
    both = ("--group", "g", "--group-column", "x")
    assert error(exported_of_group, "a.csv", *both).startswith("--group and --group-column: give one")
    (tmp_path / "folder").mkdir()
    for output, what in (
        ("", "is a folder"),
        (tmp_path / "folder", "is a folder"),
        ("/dev/null/x", "cannot be written"),
    ):
        assert what in error(exported, "a.png", "--output", output)
    assert "needs the group of each image (g, h); give --group, or" in error(exported_of_group, "a.png")
    assert "--group x: the model does not know this group" in error(exported_of_group, "a.png", "--group", "x")


def test_an_output_that_was_there_stays_whole_where_the_call_is_wrong(exported, tmp_path, monkeypatch, capsys):
    (tmp_path / "out.csv").write_text("earlier")
    (tmp_path / "list.csv").write_text("image\na.png\n")
    run(monkeypatch, capsys, exported, tmp_path / "list.csv", "--output", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.csv", "out.csv"]


def test_the_rows_of_a_table_that_cannot_be_used_are_named_and_the_others_predicted(
    exported, pictures, monkeypatch, capsys
):
    # a separator of spreadsheets, blanks, a row too long, one without a path, and what is no path
    lines = [
        "path;note",
        " 日本/é 03.png ;x",
        "日本/é 01.png;x;y",
        ";x",
        '"日本/é 00.png"; ',
        "a\0b.png;x",
        "no\tfile;x",
    ]
    (pictures / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    table, said, error = run(monkeypatch, capsys, exported, pictures / "list.csv")
    assert [row["path"] for row in table] == ["日本/é 03.png", "日本/é 00.png"]
    assert said.splitlines()[:4] == [
        f"error: {pictures / 'list.csv'}, line 3: has more or fewer fields than the header",
        f"error: {pictures / 'list.csv'}, line 4: names no image",
        "error: a\\x00b.png: is no path of a file",
        "error: no\\tfile: there is no such file",
    ]
    assert error == "4 of 6 images could not be predicted; they are named above"


def test_of_a_folder_the_images_are_those_that_a_data_set_would_have(pictures):
    (pictures / "._é 00.png").write_text("of a Mac")
    (pictures / "notes.pdf").write_text("no picture")
    (pictures / ".git").mkdir()
    (pictures / ".git" / "a.png").write_text("hidden")
    table = pictures.with_name("folder.csv")
    pictures.rename(table)
    found = list(find_images([table], column="path"))
    assert [one.path.name for one in found] == [f"é {number:02}.png" for number in range(24)]


def test_names_that_are_no_text_can_be_told_apart(tmp_path):
    for byte in (b"\xfe", b"\xff"):
        (Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + byte + b".png"))).write_bytes(b"")
    assert [Path(one.name).name for one in find_images([tmp_path], column="path")] == ["\\xfe.png", "\\xff.png"]


def test_what_is_no_file_is_written_to_and_stays(exported, pictures, tmp_path, monkeypatch, capsys):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    run(monkeypatch, capsys, exported, pictures, "--output", pipe)
    reader.join()
    assert len(list(csv.DictReader(io.StringIO(read[0])))) == 24
    assert pipe.is_fifo()


def test_a_pipe_that_closes_early_ends_quietly_and_names_are_utf8(exported, pictures):
    command = f"'{sys.executable}' -m scripts.predict '{exported}' '{pictures}' | head -n 2"
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, shell=True, env=env, capture_output=True, encoding="utf-8")
    assert "é 00.png" in done.stdout
    assert "error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"image_size": 17}, "and its metadata say {'images': [17, 17, 3]"),
        ({"image_size": 10_000_000}, "image_size is 10000000; it must be at most 1024"),
        ({"classes": ["a", "b"]}, "'probabilities': [2]}: one of the two was changed"),
        ({"needs_group": True}, "'group': []"),
    ],
)
def test_a_file_whose_metadata_do_not_fit_it_is_refused(exported, tmp_path, change, what):
    model = onnx.load(exported / MODEL)
    (said,) = [one for one in model.metadata_props if one.key == KEY]
    said.value = json.dumps(json.loads(said.value) | change)
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(UserError) as error:
        open_model(tmp_path / "changed.onnx", threads=1)
    assert what in str(error.value)


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    (found,) = find_images([tmp_path], column="path")
    assert isinstance(found, Failure)
    assert found.reason.startswith("no file in this folder ends as an image does")


def test_order_is_kept_whatever_the_batch_and_however_many_are_bad(exported, pictures):
    model = open_model(exported, threads=1)
    items = list(find_images([pictures], column="path"))
    mixed = [each for item in items for each in (item, item._replace(path=item.path / "gone"))]
    found = list(predict_images(model, mixed, batch_size=7, workers=2))
    assert [one.name for one in found] == [item.name for item in mixed]
    assert [isinstance(one, Prediction) for one in found] == [True, False] * 24


# from a picture to what a network sees; pictures of other kinds are in test_pictures.py

RED = (255, 0, 0)


def facts(**changes):
    values = {"classes": ["a"], "groups": ["g"], "image_size": 8, "framing": "stretch", "crop": None}
    values |= {"crop_test": "centre", "mean": [0.0] * 3, "std": [1.0] * 3, "method": {"kind": "erm"}}
    return ModelFacts(**values | changes)


def test_a_picture_that_is_no_square_is_stretched_or_cut_at_its_centre(tmp_path):
    image = Image.new("RGB", (24, 8))
    image.paste(RED, (8, 0, 16, 8))
    path = tmp_path / "wide.png"
    image.save(path)
    assert (read_picture(path, facts(framing="centre"))[:, :, 0] == 255).all()
    stretched = read_picture(path, facts())
    assert stretched[0, 0, 0] == 0
    assert stretched[0, 4, 0] > 200
    assert read_picture(path, facts(crop=4)).shape == (4, 4, 3)
