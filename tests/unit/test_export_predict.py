"""Predictions of exported models for picture files, by onnxruntime alone."""

import csv
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from fairdistill.data import load_dataset
from fairdistill.export import prediction, prediction_table
from fairdistill.export.files import INT8, MODEL
from fairdistill.export.onnx_model import write_model
from fairdistill.export.pictures import read_picture
from fairdistill.export.prediction import Failure, Prediction, find_images, open_model, predict_images
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


def run(monkeypatch, capfd, *arguments):
    """The table that the script prints, what it says on stderr, and its error."""
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
    error = None
    try:
        predict.main()
    except UserError as raised:
        error = str(raised)
        assert "\n" not in error
    out, err = capfd.readouterr()
    return list(csv.DictReader(io.StringIO(out))), err, error


def test_it_needs_the_exported_file_alone_and_neither_torch_nor_pandas(exported, pictures, tiny, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(exported / MODEL, alone)
    (pictures / "no image.jpg").write_text("text")
    # of which Pillow would warn
    Image.new("1", (9500, 9500)).save(pictures / "large.png")
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
    large, bad, gone, rate, last = done.stderr.splitlines()
    assert large == (
        f"error: {pictures / 'large.png'}: not an image that can be decoded (9500 x 9500, more than 89 million pixels; "
        "make it smaller)"
    )
    assert bad.startswith(
        f"error: {pictures / 'no image.jpg'}: not an image that can be decoded (not a picture in a format "
    )
    assert gone == "error: nowhere.png: there is no such file"
    assert rate.startswith("24 images predicted, ")
    assert last == "error: 3 of 27 images could not be predicted; they are named above"


def test_a_table_of_paths_is_read_from_where_it_lies(exported, pictures, tiny, tmp_path, monkeypatch, capfd):
    paths = ["日本/é 03.png", "日本/é 01.png", str(pictures / "日本" / "é 02.png")]
    # as spreadsheets write it
    (pictures / "list.csv").write_text("note,file\n" + "".join(f"x,{path}\n" for path in paths), encoding="utf-8-sig")
    output = tmp_path / "new" / "out.csv"
    options = (exported / INT8, pictures / "list.csv", "--column", "file", "--output", output)
    table, said, error = run(monkeypatch, capfd, *options)
    assert (table, error) == ([], None)
    assert said.startswith("3 images predicted, ")
    rows = list(csv.DictReader(io.StringIO(output.read_text(encoding="utf-8"))))
    assert [row["path"] for row in rows] == paths
    found = [[float(row[f"p_{name}"]) for name in "abc"] for row in rows]
    np.testing.assert_allclose(found, expected(exported / INT8, tiny)[[3, 1, 2]], atol=2e-3)


def test_a_model_that_needs_the_group_gets_it_from_a_table_or_for_all(
    exported_of_group, cropped_folder, tmp_path, monkeypatch, capfd
):
    dataset = load_dataset(cropped_folder)
    pictures = as_files(dataset, tmp_path)
    _, _, group = dataset.split("test")
    lines = [f"日本/é {number:02}.png\t{dataset.groups[a]}" for number, a in enumerate(group)]
    (pictures / "list.tsv").write_text("\n".join(["path\tgroup", *lines, "日本/é 00.png\tnobody"]), encoding="utf-8")
    table, said, error = run(
        monkeypatch, capfd, exported_of_group, pictures / "list.tsv", "--group-column", "group", "--batch-size", 10
    )
    found = np.array([[float(row[f"p_{name}"]) for name in "abc"] for row in table])
    model = open_model(exported_of_group, threads=1)
    rows = dataset.split("test")[0]
    images = dataset.images[rows][:, 1:9, 1:9]
    np.testing.assert_allclose(found, model.predict(images, group), atol=1e-5)
    assert "é 00.png: its group is 'nobody', and the model knows g, h; " in said
    assert error == "1 of 25 images could not be predicted; they are named above"
    one, *_ = run(monkeypatch, capfd, exported_of_group, pictures / "日本" / "é 00.png", "--group", "h")
    assert [float(one[0][f"p_{name}"]) for name in "abc"] == pytest.approx(
        model.predict(images[:1], np.array([1]))[0].tolist(), abs=1e-5
    )


def test_what_cannot_be_used_is_one_line(exported, exported_of_group, tmp_path, monkeypatch, capfd):
    def error(*arguments):
        return run(monkeypatch, capfd, *arguments)[2]

    (tmp_path / "other.onnx").write_bytes(b"no model")
    assert error(tmp_path / "none", "a.png").endswith("none: there is no such file; give the folder of an exported "
                                                      "model, or its model.onnx")  # fmt: skip
    assert "other.onnx: not an ONNX model that onnxruntime can read (" in error(tmp_path / "other.onnx", "a.png")
    assert "needs the group of each image (g, h); give --group, or" in error(exported_of_group, "a.png")
    assert "--group x: the model does not know this group" in error(exported_of_group, "a.png", "--group", "x")
    table = tmp_path / "list.csv"
    table.write_text("path,group\na.png,g\n")
    both = error(exported_of_group, table, "--group", "g", "--group-column", "group")
    assert both == "--group and --group-column both say what group an image has; give one of them"
    for option in ("--column", "--folder", "--group-column"):
        assert error(exported, "a.png", option, "group").startswith(
            f"{option}: is for tables, and none of the images is"
        )
    gone = error(exported, table, "--folder", tmp_path / "gone")
    assert gone == f"--folder {tmp_path / 'gone'}: there is no such folder; name the one that paths in tables start at"
    for option in ("--group", "--group-column"):
        assert error(exported, table, option, "group").startswith(f"{option}: the model predicts without the group")


@pytest.mark.parametrize("name", ["model.safetensors", "best.PTH"])
def test_weights_are_no_model_and_no_image(exported, tmp_path, monkeypatch, capfd, name):
    path = tmp_path / name
    path.write_bytes(b"")
    *_, error = run(monkeypatch, capfd, path, "a.png")
    assert error == (
        f"{path}: holds weights, and no model that predicts by itself; give the folder that snakemake export has "
        "written, or the model.onnx in it"
    )
    *_, error = run(monkeypatch, capfd, exported, "a.png", path)
    assert error == f"{path}: is a model, and no image; give one model, and behind it the images"


def test_a_spreadsheet_is_no_table_here(exported, tmp_path, monkeypatch, capfd):
    path = tmp_path / "list.xlsx"
    path.write_bytes(b"PK")
    *_, error = run(monkeypatch, capfd, exported, path, "--column", "file")
    assert error == f"{path}: a table in this format is not read here; export it as CSV in UTF-8, and name that"


def test_the_paths_of_a_table_may_start_elsewhere_and_where_they_do_is_said(
    exported, pictures, tmp_path, monkeypatch, capfd
):
    table = tmp_path / "list.csv"
    table.write_text("path\né 00.png\n/gone.png\n", encoding="utf-8")
    _, said, _ = run(monkeypatch, capfd, exported, table)
    assert said.splitlines()[:2] == [
        f"error: é 00.png: there is no such file in {tmp_path}, where the paths of its table start; --folder "
        "names another folder",
        "error: /gone.png: there is no such file",
    ]
    rows, *_ = run(monkeypatch, capfd, exported, table, "--folder", pictures / "日本")
    assert [row["path"] for row in rows] == ["é 00.png"]


def test_an_output_that_was_there_stays_whole_where_the_call_is_wrong(exported, tmp_path, monkeypatch, capfd):
    (tmp_path / "out.csv").write_text("earlier")
    (tmp_path / "list.csv").write_text("image\na.png\n")
    run(monkeypatch, capfd, exported, tmp_path / "list.csv", "--output", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.csv", "out.csv"]


@pytest.mark.parametrize(
    "place", ["list.csv", "a.png", "folder/b.png", "linked.png", "model/model.onnx", "model/README.md"]
)
def test_what_is_read_is_never_written_over(exported, tmp_path, monkeypatch, capfd, place):
    """A table, an image of it, of a folder, by a link, and the model."""
    shutil.copytree(exported, tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("card")
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "folder/b.png", "c.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "linked.png").symlink_to("c.png")
    table = tmp_path / "list.csv"
    table.write_text("path\na.png\na\0.png\n")
    before = (tmp_path / place).read_bytes()
    given = (tmp_path / "model", table, tmp_path / "folder", tmp_path / "c.png", tmp_path / "gone.png")
    *_, error = run(monkeypatch, capfd, *given, "--output", tmp_path / place)
    assert error.startswith(f"--output {tmp_path / place}: is ")
    assert error.endswith(", which is read or belongs to the model; name another file")
    assert (tmp_path / place).read_bytes() == before


# what is found


def names(places, **options):
    """The names of the images that are found, and what is said of those that cannot be."""
    found = list(find_images(places, **options))
    return [f"{one.name}: {one.reason}" if isinstance(one, Failure) else one.name for one in found]


def test_a_folder_has_the_pictures_that_are_read_and_nothing_hidden(tmp_path):
    """A folder is one, whatever its name; what other programs keep in it is left out, as it is in a data set."""
    folder = tmp_path / "d.csv"
    others = ("._0.png", ".git/x.png", "a.pdf", "a.h5", "a.eps", "a.mpg", "notes.txt")
    for name in ("b.PNG", "within/a.jpeg", "c.tif", *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    assert names([folder]) == [str(folder / name) for name in ("b.PNG", "c.tif", "within/a.jpeg")]


def test_a_folder_without_images_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert names([tmp_path]) == [f"{tmp_path}: no file in this folder ends as an image does, such as in .jpg or .png"]


def test_a_table_is_read_as_that_of_a_data_set_is(tmp_path):
    """Semicolons, blanks around values, a line break in a field; rows that nobody can use are named by their line."""
    table = tmp_path / "list.csv"
    table.write_text(
        'note; path;group\n"a\nb"; ä 1.png ;g\n\nx;b.png;g;more\nx;;g\nx;/abs/c.png;\nx\n', encoding="utf-8"
    )
    assert names([table], group_column="group") == [
        "ä 1.png",
        f"{table}: line 5: has more or fewer fields than the header",
        f"{table}: line 6: has no path",
        "/abs/c.png",
        f"{table}: line 8: has more or fewer fields than the header",
    ]
    first, *_, last, _ = find_images([table], group_column="group")
    assert (first.path, first.group, last.path, last.group) == (tmp_path / "ä 1.png", "g", Path("/abs/c.png"), "")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("within/a", "within/a.png"),
        ("within\\a.png", "within/a.png"),
        ("./within/../e\u0301.png", "\u00e9.png"),
        ("within", "within.png"),
        # the same picture is in two formats
        ("two", "two"),
        ("../out.png", "../out.png"),
    ],
)
def test_the_paths_of_a_table_are_found_as_those_of_a_data_set_are(tmp_path, written, found):
    for name in ("out.png", "photos/within/a.png", "photos/\u00e9.png", "photos/within.png", "photos/two.png",
                 "photos/two.jpg"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    table = tmp_path / "list.csv"
    table.write_text(f"path\n{written}\n", encoding="utf-8")
    (item,) = find_images([table], folder=tmp_path / "photos")
    assert (item.path, item.name) == (tmp_path / "photos" / found, written)


def test_a_folder_that_cannot_be_searched_leaves_the_rows_that_are_found(tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError

    monkeypatch.setattr(prediction, "files_in", refused)
    (tmp_path / "a.png").touch()
    table = tmp_path / "list.csv"
    table.write_text("path\na.png\nb.png\n")
    assert [item.path.name for item in find_images([table])] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "there is no such file; name the table that has a row for each image"),
        (b"path\nf\xfcr.png\n", "line 2 is not UTF-8 (it has the byte 0xfc); save the table as UTF-8"),
        (b"image,label\na.png,x\n", "has no column 'path'; it has 'image', 'label'; name one by --column"),
        (b"path,path\na.png,b.png\n", "has two columns 'path'; rename one of them"),
        (b"", "line 1 names no columns; a table begins with the names of its columns"),
        (b"path\n\n", "has no row below the names of its columns; give each image a row"),
        (b'path\na.png\n"b.png\nc.png\n', "line 3 is not readable as CSV (unexpected end of data); mend it, or write"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(tmp_path, content, line):
    table = tmp_path / "list.csv"
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(UserError) as error:
        list(find_images([table]))
    assert str(error.value).startswith(f"{table}: {line}")


def test_names_that_are_no_text_stay_apart_and_in_one_line(exported, pictures, tmp_path, monkeypatch, capfd):
    picture = (pictures / "日本" / "é 00.png").read_bytes()
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in (b"\xff.png", b"\xfe.png", b"a\nb.png", b"c\rd.png", "no\u202fbreak.png".encode()):
        (folder / os.fsdecode(name)).write_bytes(picture)
    (folder / "e\nf.png").write_bytes(b"no picture")
    table, said, error = run(monkeypatch, capfd, exported, folder)
    shown = {r"\udcff.png", r"\udcfe.png", r"a\nb.png", r"c\rd.png", "no\u202fbreak.png"}
    assert {Path(row["path"]).name for row in table} == shown
    assert len(said.splitlines()) == 2
    assert said.startswith(f"error: {folder}/e\\nf.png: not an image")
    assert error == "1 of 6 images could not be predicted; they are named above"


def test_a_path_that_no_file_can_have_leaves_all_other_rows(exported, pictures, monkeypatch, capfd):
    (pictures / "list.csv").write_text("path\n日本/é 00.png\na\0b.png\n日本/é 01.png\n", encoding="utf-8")
    table, said, error = run(monkeypatch, capfd, exported, pictures / "list.csv")
    assert [row["path"] for row in table] == ["日本/é 00.png", "日本/é 01.png"]
    assert said.startswith(r"error: a\x00b.png: is no name of a file (")
    assert error == "1 of 3 images could not be predicted; they are named above"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--output", ""], "argument --output: is empty; name a file"),
        ([""], "argument IMAGES: is empty; name a file"),
        (["--batch-size", "9" * 30], "argument --batch-size: must be a whole number from 1 to 4096: 9"),
        (["--threads", "9999999"], "argument --threads: must be a whole number from 1 to 4096: 9999999"),
        (["--threads", "0"], "argument --threads: must be a whole number from 1 to 4096: 0"),
    ],
)
def test_options_that_mean_nothing_are_refused(monkeypatch, capfd, arguments, line):
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, capfd, "model", "a.png", *arguments)
    assert line in capfd.readouterr().err


def test_no_more_threads_are_started_than_there_are_cores(exported, pictures, monkeypatch, capfd):
    started = []
    monkeypatch.setattr(
        predict, "open_model", lambda path, threads: started.append(threads) or open_model(path, threads=1)
    )
    monkeypatch.setattr(predict, "usable_cores", lambda: 3)
    for threads in (2, 4096):
        run(monkeypatch, capfd, exported, pictures, "--threads", threads)
    assert started == [2, 3]


# where the table is written


def test_an_output_that_cannot_be_is_said_before_anything_is_predicted(exported, tmp_path, monkeypatch, capfd):
    def nothing(*_, **__):
        raise AssertionError("predicts")

    monkeypatch.setattr(prediction_table, "predict_images", nothing)
    (tmp_path / "file").write_text("earlier")
    *_, error = run(monkeypatch, capfd, exported, "a.png", "--output", tmp_path)
    assert error == f"{tmp_path}: is a folder; name a file"
    *_, error = run(monkeypatch, capfd, exported, "a.png", "--output", tmp_path / "file" / "out.csv")
    assert error == (
        f"--output {tmp_path / 'file' / 'out.csv'}: cannot be written (a folder in its path is a file); name a file in "
        "a folder that you may write to"
    )
    *_, error = run(monkeypatch, capfd, exported, "a.png", "--output", tmp_path / ("x" * 300))
    assert "x: cannot be written (File name too long); name a file in" in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def start(*arguments, **options):
    """Start the script as a process of its own, from the project's root."""
    command = [sys.executable, "-m", "scripts.predict", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, **options)


def test_stdout_is_utf_8_and_may_be_named_as_a_file(exported, pictures, tmp_path):
    """As /dev/stdout names it: it may be a pipe, or a file that has earlier lines."""
    (tmp_path / "stdout").symlink_to("/dev/fd/1")
    log = tmp_path / "log"
    log.write_text("earlier\n")
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"}
    with open(log, "a") as file:
        arguments = (exported, pictures / "日本" / "é 00.png", "--output", tmp_path / "stdout")
        process = start(*arguments, stdout=file, env=environment)
        said = process.communicate()[1]
    assert process.returncode == 0, said
    first, header, row = log.read_text(encoding="utf-8").splitlines()
    assert (first, header) == ("earlier", "path,prediction,p_a,p_b,p_c")
    assert row.startswith(f"{pictures / '日本' / 'é 00.png'},")
    assert (tmp_path / "stdout").is_symlink()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_where_stdout_cannot_be_written_it_is_named(exported, pictures):
    with open("/dev/full", "w") as full:
        process = start(exported, pictures, stdout=full)
        said = process.communicate()[1]
    assert process.returncode == 1
    assert said == "error: stdout: No space left on device; make room, and give the same command again\n"


def test_a_reader_that_has_seen_enough_ends_it_quietly(exported, pictures):
    reading, writing = os.pipe()
    os.close(reading)
    process = start(exported, pictures, stdout=writing)
    os.close(writing)
    assert process.communicate()[1] == ""
    assert process.returncode == 1


def test_order_is_kept_whatever_the_batch_and_however_many_are_bad(exported, pictures):
    model = open_model(exported, threads=1)
    items = list(find_images([pictures]))
    mixed = [each for item in items for each in (item, item._replace(path=item.path / "gone"))]
    found = list(predict_images(model, mixed, batch_size=7, workers=2))
    assert [one.name for one in found] == [item.name for item in mixed]
    assert [isinstance(one, Prediction) for one in found] == [True, False] * 24


# a file whose metadata are of another model


def described(folder, exported, **changes):
    """A copy of an exported model whose metadata say something else."""
    model = onnx.load(exported / MODEL)
    facts = open_model(exported, threads=1).preprocessor
    write_model(folder / "other.onnx", model, facts.model_copy(update=changes))
    return folder / "other.onnx"


GRAPH = "images: tensor(uint8) [*, 8, 8, 3] and gives probabilities: tensor(float) [*, 3] in place of "


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"image_size": 17},
            f"{GRAPH}images: tensor(uint8) [*, 17, 17, 3] and probabilities: tensor(float) [*, 3]; export the model",
        ),
        ({"classes": ["a", "b"]}, "and probabilities: tensor(float) [*, 2]; export"),
        ({"needs_group": True}, "and group: tensor(int64) [*] and probabilities"),
        ({"image_size": 10_000_000}, "its metadata: image_size is 10000000; it must be at most 1024"),
        ({"crop": 9}, "its metadata crops to more pixels than image_size has"),
    ],
)
def test_metadata_that_do_not_fit_the_graph_are_one_line(exported, tmp_path, changes, line):
    with pytest.raises(UserError) as error:
        open_model(described(tmp_path, exported, **changes), threads=1)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_model_with_a_changed_byte_is_refused_where_its_record_is(exported, tmp_path):
    """A byte of the weights, with which onnxruntime reads and runs it."""
    folder = shutil.copytree(exported, tmp_path / "model")
    model = onnx.load(folder / "model.onnx")
    weights = next(tensor for tensor in model.graph.initializer if len(tensor.raw_data) > 100)
    weights.raw_data = bytes([weights.raw_data[0] ^ 1]) + weights.raw_data[1:]
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(UserError, match=r"model\.onnx: does not belong to .*export\.json; export the model again"):
        open_model(folder, threads=1)
    (folder / "export.json").unlink()
    open_model(folder, threads=1)


def test_inputs_and_outputs_of_other_names_are_one_line(exported, tmp_path):
    path = described(tmp_path, exported)
    model = onnx.load(path)
    for node in model.graph.node:
        node.output[:] = ["scores" if name == "probabilities" else name for name in node.output]
    model.graph.output[0].name = "scores"
    onnx.save(model, path)
    with pytest.raises(UserError, match=r"gives scores: tensor\(float\) \[\*, 3\] in place of images"):
        open_model(path, threads=1)


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
