"""Images of one's own: tables, paths, problems, classes and groups, splits."""

import re
import shutil
import unicodedata

import numpy as np
import pandas as pd
import pytest
from own_images import write_images, write_picture, write_table
from PIL import Image

from fairdistill.data import folder as folder_kind
from fairdistill.data import load_dataset
from fairdistill.data.preparing import describe, prepare_dataset
from fairdistill.evaluation import power
from fairdistill.evaluation.power import images_for, smallest_difference
from fairdistill.runtime.errors import UserError
from fairdistill.runtime.own_files import content_of
from fairdistill.runtime.pictures import decode
from fairdistill.settings.data import Folder

PER_CELL = 22


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The folder of the pictures, which nothing writes to, and their table."""
    folder = tmp_path_factory.mktemp("own")
    return folder, write_images(folder, PER_CELL)


@pytest.fixture
def own(pictures, tmp_path):
    """Another folder of the same pictures, which a test may change, and their table."""
    shutil.copytree(pictures[0] / "photos", tmp_path / "photos")
    return tmp_path, pictures[1].copy()


def make(folder, table, *, name="labels.csv", images=None, **settings):
    """Prepare a data set from a table and the pictures in `folder`/photos, and read it."""
    path = write_table(folder, table, name) if isinstance(table, pd.DataFrame) else table
    given = Folder(**{"kind": "folder", "image_size": 8, **settings})
    prepare_dataset(folder / "made", given, [images or folder / "photos", path])
    return load_dataset(folder / "made")


def refused(folder, table, **settings):
    """The error of a data set that cannot be made, which is one line; nothing is written."""
    with pytest.raises(UserError) as error:
        make(folder, table, **settings)
    assert "\n" not in str(error.value)
    assert not (folder / "made").exists()
    return str(error.value)


def cells(dataset, split):
    """The number of images of each (class, group) cell of a split."""
    _, label, group = dataset.split(split)
    return np.bincount(
        label * len(dataset.groups) + group, minlength=len(dataset.classes) * len(dataset.groups)
    ).tolist()


def test_images_have_the_classes_groups_and_pixels_of_the_table(own):
    folder, table = own
    dataset = make(folder, table)
    assert (dataset.classes, dataset.groups) == (["cat", "dog"], ["indoors", "outdoors"])
    assert len(dataset.images) == len(table)
    by_name = table.set_index("image")
    for number in range(0, len(table), 7):
        sample = dataset.samples.iloc[number]
        row = by_name.loc[sample["image_id"]]
        assert (dataset.classes[sample["label"]], dataset.groups[sample["group"]]) == (row["label"], row["group"])
        content = (folder / "photos" / sample["image_id"]).read_bytes()
        np.testing.assert_array_equal(dataset.images[number], decode(content, 8))
    # half of each cell, as there are too few for more
    assert cells(dataset, "test") == [PER_CELL // 2] * 4
    assert cells(dataset, "train") == [PER_CELL - PER_CELL // 2] * 4


def test_the_smallest_deo_is_noted_and_printed(own):
    info = make(*own).info
    wanted = smallest_difference(PER_CELL // 2, groups=2, classes=2)
    assert info["notes"]["smallest_deo_m_that_could_be_seen_(power_0.8,_accuracy_0.8)"] == wanted
    assert f"smallest deo m that could be seen (power 0.8, accuracy 0.8): {wanted}" in describe(info)


def test_the_test_split_is_as_large_as_the_deo_that_it_is_to_show_needs(own):
    wanted = images_for(0.8, groups=2, classes=2)
    assert wanted < PER_CELL // 2
    assert cells(make(*own, visible_deo=0.8), "test") == [wanted] * 4


def test_no_record_has_the_paths(own):
    folder, table = own
    make(folder, table)
    assert str(folder) not in (folder / "made" / "dataset.json").read_text()


@pytest.mark.parametrize("name", ["labels.tsv", "labels.parquet", "labels.CSV"])
def test_other_formats_of_the_table_give_the_same(own, name):
    folder, table = own
    wanted = make(folder, table).info
    found = make(folder, table, name=name).info
    assert found["sha256"] == wanted["sha256"]
    assert found["source"]["images"] == wanted["source"]["images"]


def test_a_tsv_whose_columns_end_with_commas_is_told_so(own):
    folder, table = own
    path = folder / "labels.tsv"
    table.to_csv(path, index=False)
    assert "labels.tsv: its header has ',' in it and no tabulator" in refused(folder, path)


def test_a_spreadsheets_csv_is_read(own):
    """With a byte order mark, semicolons, blanks around values, an empty line and a line break in a field."""
    folder, table = own
    wanted = make(folder, table).info["sha256"]
    lines = [f'{row.image}; {row.label} ;{row.group};"of\n{row.image}"' for row in table.itertuples()]
    path = folder / "labels.csv"
    path.write_text("\ufeffimage; label;group;note\r\n" + "\r\n\r\n".join(lines) + "\r\n", encoding="utf-8")
    assert make(folder, path).info["sha256"] == wanted
    path.write_text(path.read_text(encoding="utf-8").replace("dog 044.png;", "gone.png;"), encoding="utf-8")
    # two lines of each row and an empty one: 44 rows of the cats, and the header
    assert "missing files: 1 (line 134: gone.png)" in refused_of_file(folder, path)


def refused_of_file(folder, path):
    shutil.rmtree(folder / "made")
    return refused(folder, path)


def test_paths_are_found_as_people_write_them(own):
    """In folders within, absolute, with backslashes, without an extension, composed in another way."""
    folder, table = own
    photos = folder / "photos"
    for number, name in enumerate(("sub folder/ä é.png", "sub folder/c.d.png", "e.png", "f.png")):
        (photos / name).parent.mkdir(exist_ok=True)
        stored = unicodedata.normalize("NFD", name)
        (photos / table["image"][number]).rename(photos / stored)
        table.loc[number, "image"] = unicodedata.normalize("NFC", name)
    table.loc[1, "image"] = "sub folder\\c.d.png"
    table.loc[2, "image"] = str(photos / "e.png")
    table.loc[3, "image"] = "./f"
    found = set(make(folder, table).samples["image_id"])
    assert {unicodedata.normalize("NFD", "sub folder/ä é.png"), "sub folder/c.d.png", "e.png", "f.png"} <= found


def test_a_read_only_folder_is_fine(own):
    folder, table = own
    photos = folder / "photos"

    def times():
        """What is written to the folder, also for a moment, changes its own; root may write though it is read-only."""
        return {path: path.stat().st_mtime_ns for path in (photos, *photos.rglob("*"))}

    before = times()
    photos.chmod(0o555)
    try:
        make(folder, table)
    finally:
        photos.chmod(0o755)
    assert times() == before


PROBLEMS = [
    ("image", "gone.png", "missing files: 1 (line 4: gone.png)"),
    ("image", "../labels.csv", "paths that lead out of the folder: 1 (line 4: ../labels.csv)"),
    ("image", "", "rows without the path of an image: 1 (line 4)"),
    ("label", "", "empty classes: 1 (line 4: cat 002.png)"),
    ("group", " ", "empty groups: 1 (line 4: cat 002.png)"),
]


@pytest.mark.parametrize(("column", "value", "wanted"), PROBLEMS)
def test_a_row_with_a_problem_is_named_or_left_out(own, column, value, wanted):
    folder, table = own
    table.loc[2, column] = value
    assert wanted in refused(folder, table)
    dataset = make(folder, table, on_error="skip")
    assert len(dataset.images) == len(table) - 1
    kind = wanted.partition(":")[0].replace(" ", "_")
    assert dataset.info["notes"][f"rows_left_out_for_{kind}"]["count"] == 1
    assert "line 4" in describe(dataset.info)


def test_names_that_are_no_names_are_refused_and_not_printed_whole(own):
    folder, table = own
    table.loc[3, "group"] = "g" * 201
    table.loc[4, "image"] = "n" * 5000
    error = refused(folder, table)
    assert "values of group of more than 200 characters: 1 (line 5: cat 003.png)" in error
    assert f"missing files: 1 (line 6: {'n' * 200}...)" in error


def test_one_report_has_all_kinds_of_problems_with_the_numbers_of_the_rows(own, capsys):
    folder, table = own
    for row in range(5):
        table.loc[row, "image"] = f"gone{row}.png"
    table.loc[6, "label"] = ""
    (folder / "photos" / table["image"][8]).write_bytes(b"no picture")
    (folder / "photos" / table["image"][9]).write_bytes(b"")
    table.loc[30, "image"] = table["image"][40]
    (folder / "photos" / table["image"][50]).write_bytes((folder / "photos" / table["image"][70]).read_bytes())
    path = write_table(folder, table)
    with open(path, "a", encoding="utf-8") as file:
        file.write("a,b\n")
    error = refused(folder, path)
    parts = (
        "rows with more or fewer fields than the header: 1 (line 90)",
        "missing files: 5 (line 2: gone0.png, line 3: gone1.png, line 4: gone2.png, ...)",
        "empty classes: 1 (line 8: cat 006.png)",
        "files that cannot be decoded: 2 (line 10: cat 008.png (not a picture in a format that is read here), "
        "line 11: cat 009.png (the file is empty))",
        "images with two classes or groups: 2 (line 52: dog 050.png is as in line 72, line 72: dog 070.png "
        "is as in line 52)",
        "mend these rows, or set on_error to skip to leave them out",
    )
    for part in parts:
        assert part in error
    # the same image in two rows of one class and group is no contradiction
    assert "line 32" not in error
    report = capsys.readouterr().out
    assert report.splitlines()[0] == f"{path} has problems, so that no data set is made:"
    assert "\n  missing files: 5\n    line 2: gone0.png\n    line 3: gone1.png\n    line 4: gone2.png\n" in report
    # 11 rows have a problem, and one repeats another; 10 images of a cell are left for each side
    dataset = make(folder, path, on_error="skip", test_per_cell=5)
    assert len(dataset.images) == len(table) - 11
    assert dataset.info["notes"]["rows_left_out_as_they_repeat_the_image_of_an_earlier_row"] == {
        "count": 1,
        "names": ["line 42: cat 040.png"],
    }
    assert f"{path} has problems, and these rows are left out:\n" in capsys.readouterr().out


def test_rows_of_parquet_are_numbered_from_one(own):
    folder, table = own
    table.loc[2, "image"] = "gone.png"
    assert "missing files: 1 (row 3: gone.png)" in refused(folder, table, name="labels.parquet")


def test_missing_values_and_numbers_of_parquet(own):
    folder, table = own
    table["label"] = np.where(table["label"] == "cat", 2.0, 10.0)
    table.loc[5, "label"] = np.nan
    assert "empty classes: 1 (row 6: cat 005.png)" in refused(folder, table, name="labels.parquet")
    assert make(folder, table, name="labels.parquet", on_error="skip").classes == ["2", "10"]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (
            {"label": "lable"},
            "labels.csv: has no column 'lable'; did you mean 'label'? It has 'image', 'label', 'group'; name one by "
            "the setting label",
        ),
        (
            {"subject": "who"},
            "labels.csv: has no column 'who'; it has 'image', 'label', 'group'; name one by the setting subject",
        ),
    ],
)
def test_a_column_that_is_not_there_is_one_line(own, settings, wanted):
    assert refused(*own, **settings).endswith(wanted)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("image,label,group\nä.png,cat,a\n".encode("latin-1"), "line 2 is not UTF-8 (it has the byte 0xe4); save"),
        ("image,label,group\n".encode("utf-16"), "line 1 is not UTF-8 (it has the byte 0xff); save the table as UTF-8"),
        (b"image,label,group\n\n", "has no row below the names of its columns; give each image a row"),
        (b"", "line 1 names no columns; a table begins with the names of its columns"),
        (b'image,label,group\n"a.png,cat,a\n', "line 2 is not readable as CSV (unexpected end of data); mend it"),
        (b"image,label,label,group\n", "has two columns 'label'; rename one of them"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(own, content, wanted):
    folder, _ = own
    path = folder / "labels.csv"
    path.write_bytes(content)
    assert f"{path}: {wanted}" in refused(folder, path)


def test_a_damaged_parquet_file_is_one_line(own):
    folder, _ = own
    (folder / "labels.parquet").write_bytes(b"PAR1 and no more")
    assert "labels.parquet: not readable as Parquet (" in refused(folder, folder / "labels.parquet")


def test_missing_paths_are_one_line(own):
    folder, table = own
    assert "nowhere: there is no such folder" in refused(folder, table, images=folder / "nowhere")
    assert "labels.csv: no folder, but a file" in refused(folder, table, images=folder / "labels.csv")
    assert "no.csv: there is no such file" in refused(folder, folder / "no.csv")


def test_no_image_at_all_is_one_line(own):
    folder, table = own
    table["image"], table["who"] = "gone.png", "somebody"
    error = refused(folder, table, on_error="skip", subject="who")
    assert "missing files: 88 (" in error
    assert error.endswith("empty cells: 1 (all); mend the table, or name another folder")


def test_numbers_are_binned(own):
    folder, table = own
    table["group"] = np.where(table["group"] == "indoors", "19", "20")
    table.loc[::4, "group"] = "40"
    dataset = make(folder, table, bins={"group": [20, 40]}, test_per_cell=2)
    assert dataset.groups == ["under 20", "20-39", "40 and over"]
    group = dataset.samples.set_index("image_id")["group"]
    assert [group[table["image"][row]] for row in (1, 23, 0)] == [0, 1, 2]
    table.loc[3, "group"] = "old"
    shutil.rmtree(folder / "made")
    error = refused(folder, table, bins={"group": [20, 40]})
    assert "values of group that are no numbers: 1 (line 5: old); mend these rows, or set on_error" in error
    table.loc[3, "group"] = "20,5"
    error = refused(folder, table, bins={"group": [20, 40]})
    assert (
        "1 (line 5: 20,5); write numbers with a decimal point, as 20.5, and without any comma, or else mend these"
        in error
    )


@pytest.mark.parametrize(
    ("edges", "values", "names"),
    [
        ([20.0, 40.0], ["1", "40.5"], ["under 20", "20 to below 40", "40 and over"]),
        ([0.5, 0.75], ["0.1", "0.9"], ["under 0.5", "0.5 to below 0.75", "0.75 and over"]),
        ([20.0, 21.0, 30.0], ["1", "35"], ["under 20", "20", "21-29", "30 and over"]),
        ([-10.0, 0.0], ["-20", "35"], ["under -10", "-10 to -1", "0 and over"]),
    ],
)
def test_intervals_are_named_by_their_edges(own, edges, values, names):
    folder, table = own
    table["group"] = np.resize(values, len(table))
    # the bins between have no image
    error = refused(folder, table, bins={"group": edges})
    missing = [name for name in names[1:-1] for _ in range(2)]
    assert f"empty cells: {len(missing)} ((cat, {names[1]})" in error


def test_several_columns_of_groups_are_combined(own):
    folder, table = own
    table["tail"] = np.resize([0, 1], len(table))
    dataset = make(folder, table, group=["group", "tail"], test_per_cell=2)
    assert dataset.groups == ["indoors x tail 0", "indoors x tail 1", "outdoors x tail 0", "outdoors x tail 1"]
    group = dataset.samples.set_index("image_id")["group"]
    assert [group[table["image"][row]] for row in (0, 1, 22, 23)] == [0, 1, 2, 3]


def test_one_group_or_one_class_is_refused(own):
    folder, table = own
    error = refused(folder, table.assign(group="all", label="any"))
    assert "columns with one value: 2 (the label is always any, the group (group) is always all); there have" in error


def test_cells_that_are_empty_or_too_small_are_named(own):
    folder, table = own
    table = table[(table["label"] == "cat") | (table["group"] == "indoors")]
    assert "empty cells: 1 ((dog, outdoors)); every (class, group) cell needs images" in refused(folder, table)
    table = own[1].drop(index=range(5))
    error = refused(folder, table)
    assert "cells that are too small: 1 ((cat, indoors) 17); each needs 20 images that may be tested" in error
    assert cells(make(folder, table, test_per_cell=4), "test") == [4] * 4
    shutil.rmtree(folder / "made")
    assert "each needs 18 images" in refused(folder, table, test_per_cell=17)
    # nothing is left for training, which no number of test images mends
    error = refused(folder, table, validation=0.99, test_per_cell=10)
    assert "empty cells: 4 ((cat, indoors) in train, (cat, outdoors) in train, (dog, indoors) in train, ...)" in error
    assert error.endswith("a split of each cell: join classes or groups, or lower validation")


def test_what_can_be_done_stands_beside_the_problem(own):
    folder, table = own
    table.loc[0, "image"] = "gone.png"
    table.loc[1, "label"] = ""
    table = table[(table["label"] != "dog") | (table["group"] == "indoors")]
    assert refused(folder, table) == (
        f"{folder / 'labels.csv'}: missing files: 1 (line 2: gone.png) | empty classes: 1 (line 3: cat 001.png); mend "
        "these rows, or set on_error to skip to leave them out | empty cells: 1 ((dog, outdoors)); every (class, "
        "group) cell needs images: join classes or groups"
    )


TYPED = [
    ("label", "dgo", {}, 20),
    ("group", "indors", {}, 20),
    ("tail", "lnog", {"group": ["group", "tail"], "test_per_cell": 2}, 3),
    ("label", "dgo", {"split": "part", "validation": 0}, 2),
    ("label", "dgo", {"split": "part", "validation": 0.1}, 3),
]


@pytest.mark.parametrize(("column", "value", "settings", "least"), TYPED)
def test_a_mistyped_class_or_group_is_a_problem_of_its_row(own, capsys, column, value, settings, least):
    folder, table = own
    table["part"] = np.resize(["train", "test"], len(table))
    table["tail"] = np.resize(["long", "long", "short", "short"], len(table))
    table.loc[37, column] = value
    # the report has what is wrong with the images, too
    (folder / "photos" / table["image"][50]).write_bytes(b"no picture")
    error = refused(folder, table, **settings)
    assert f"values of {column} that fewer than {least} rows have: 1 (line 39: {value}); no cell can be made" in error
    assert "files that cannot be decoded: 1 (line 52" in error
    assert "cells" not in error
    dataset = make(folder, table, on_error="skip", **settings)
    assert value not in " ".join(dataset.classes + dataset.groups)
    assert table["image"][37] not in set(dataset.samples["image_id"])
    assert dataset.info["notes"][f"rows_left_out_for_values_of_{column}_that_fewer_than_{least}_rows_have"] == {
        "count": 1,
        "names": [f"line 39: {value}"],
    }
    assert (
        f"warning: 2 of 88 rows were left out: values of {column} that fewer than {least} rows have: 1 "
        f"(line 39: {value}), files that cannot be decoded: 1 (line 52: "
    ) in capsys.readouterr().err


def test_rows_of_a_class_that_have_another_problem_count_for_it(own):
    """A class of which most images are missing is none that was mistyped; nor is one that is written in two ways."""
    folder, table = own
    table.loc[5:43, "image"] = "gone.png"
    error = refused(folder, table, on_error="skip")
    assert "fewer than" not in error
    assert "empty cells: 1 ((cat, outdoors))" in error
    table = own[1]
    table.loc[table.index[-1], "label"] = "Dog"
    assert "fewer than" not in refused(folder, table)


def test_few_test_images_of_a_split_of_the_users_own_are_warned_of(own, capsys):
    folder, table = own
    table["part"] = np.resize(["train", "test"], len(table))
    table.loc[1, "part"] = table.loc[3, "part"] = "train"
    notes = make(folder, table, split="part", validation=0).info["notes"]
    assert notes["cells_with_fewer_than_10_test_images"] == {"count": 1, "names": ["(cat, indoors) 9"]}
    warning = "warning: cells with fewer than 10 test images, of which a test shows next to nothing: "
    assert f"{warning}1 ((cat, indoors) 9)\n" in capsys.readouterr().err
    make(folder, table, test_per_cell=2, folds=2)
    named = "(cat, indoors) 2, (cat, outdoors) 2, (dog, indoors) 2, ..."
    assert f"{warning}4 ({named})\n" in capsys.readouterr().err
    make(folder, table)
    assert warning not in capsys.readouterr().err


def test_pictures_that_look_alike_are_said_to_be_why_cells_are_small(own):
    folder, table = own
    for name in table["image"][:10]:
        shutil.copy(folder / "photos" / table["image"][20], folder / "photos" / name)
    remedy = "where images are no copies but only look alike, set duplicates to drop"
    assert remedy in refused(folder, table)
    assert remedy not in refused(folder, table, duplicates="drop")


@pytest.mark.parametrize(
    "settings",
    [
        {"validation": 0.1, "subject": "who"},
        {"validation": 0.1, "subject": "who", "test_per_cell": 17},
        {"validation": 0.1, "folds": 2},
    ],
)
def test_the_test_size_that_is_advised_for_a_small_cell_is_one_with_which_the_data_set_is_made(
    own, settings, monkeypatch
):
    """Subjects have five images, in several cells."""
    monkeypatch.setattr(power, "DRAWS", 100)
    folder, table = own
    table["who"] = np.random.default_rng(0).permutation(len(table)) // 5
    table = table.drop(index=range(5))
    error = refused(folder, table, **settings)
    size = int(re.search(r"set test_per_cell to (\d+)", error)[1])
    assert cells(make(folder, table, **{**settings, "test_per_cell": size}), "test") == [size] * 4


@pytest.mark.parametrize("of_one", [4, 10])
def test_a_test_size_that_the_subjects_allow_is_advised(own, monkeypatch, of_one):
    """All images of a cell are of two people, of whom training needs one."""
    monkeypatch.setattr(power, "DRAWS", 100)
    folder, table = own
    table["who"] = np.where(table.index < 22 - of_one, "one", np.where(table.index < 22, "two", table["image"]))
    settings = {"validation": 0, "subject": "who"}
    error = refused(folder, table, **settings)
    assert "empty cells: 1 ((cat, indoors) in train); there are too few subjects for a split of each cell: " in error
    size = int(re.search(r"set test_per_cell to (\d+)", error)[1])
    # with what the one with the fewer images has, it can be made for sure
    assert size >= of_one
    assert ("of so few a test shows next to nothing" in error) == (size < 10)
    assert cells(make(folder, table, **settings, test_per_cell=size), "test") == [size] * 4


def test_problems_of_a_fold_are_said_to_be_of_it(own):
    folder, table = own
    # the two people of a cell are both tested in the first fold
    table["who"] = np.where(table.index < 20, "one", np.where(table.index < 22, "two", table["image"]))
    error = refused(folder, table, validation=0, subject="who", folds=2, test_per_cell=3, split_seed=5)
    assert "empty cells: 2 (fold 0: (cat, indoors) in train, fold 1: (cat, indoors) in test)" in error


def test_where_no_test_size_leaves_validation_images_another_way_is_advised(own):
    error = refused(*own, validation=0.01)
    assert "empty cells: 4 ((cat, indoors) in validation, " in error
    assert error.endswith("too few images for a split of each cell: join classes or groups, or raise validation")


def test_what_was_taken_for_copies_and_what_became_of_them_is_noted_with_names(own):
    folder, table = own
    photos = folder / "photos"
    for copy, original in ((1, 0), (50, 2)):
        (photos / table["image"][copy]).write_bytes((photos / table["image"][original]).read_bytes())
    with Image.open(photos / table["image"][2]) as image:
        # a near-copy of another class
        image.convert("RGB").resize((60, 45)).save(photos / table["image"][50], quality=95)
    dataset = make(folder, table)
    notes = dataset.info["notes"]
    names = ["cat 000.png", "cat 001.png = cat 000.png", "cat 002.png", "dog 050.png = cat 002.png"]
    copies = "images_that_are_copies_or_near-copies_of_others,_which_are_in_the_same_split_or_left_out"
    assert notes[copies] == {"count": 4, "names": names}
    key = "images_that_are_not_tested_as_copies_of_them_have_other_classes_or_groups"
    assert notes[key] == {"count": 2, "names": ["cat 002.png", "dog 050.png"]}
    assert f"others, which are in the same split or left out: 4 ({', '.join(names)})" in describe(dataset.info)


def test_images_are_left_out_where_a_copy_of_them_is_tested(own):
    folder, table = own
    # the first cell is eleven pictures, each twice
    for copy in range(11):
        shutil.copy(folder / "photos" / table["image"][copy + 11], folder / "photos" / table["image"][copy])
    name = table.set_index("image").index.get_loc
    dataset = make(folder, table, test_per_cell=4)
    tested = dataset.samples.query("split == 'test' and label == 0 and group == 0")["image_id"]
    copies = sorted(table["image"][(name(image) + 11) % 22] for image in tested)
    key = "images_left_out_because_a_copy_of_them_is_tested"
    assert dataset.info["notes"][key] == {"count": 4, "names": copies}
    assert set(copies).isdisjoint(dataset.samples["image_id"])
    shutil.rmtree(folder / "made")
    notes = make(folder, table, test_per_cell=4, folds=2).info["notes"]
    # another four in the other fold, where the first are trained on
    assert notes["images_left_out_in_one_of_the_folds_because_a_copy_of_them_is_tested"]["count"] == 8


def test_images_are_left_out_where_another_of_their_subject_is_tested(own):
    folder, table = own
    table["who"] = table.index // 2
    dataset = make(folder, table, subject="who", test_per_cell=5)
    key = "images_left_out_because_a_copy_of_them_or_another_image_of_their_subject_is_tested"
    # three subjects of two images each in each cell
    note = dataset.info["notes"][key]
    assert note["count"] == 4
    number = table.set_index("image")["who"]
    tested = dataset.samples.query("split == 'test'")["image_id"]
    assert set(number[note["names"]]) <= set(number[tested])


def test_what_copies_contradict_is_left_out_alone(own):
    """Another image of the subject may be tested."""
    folder, table = own
    table["who"] = table.index // 2
    with Image.open(folder / "photos" / table["image"][2]) as image:
        # a near-copy of another class, so that two subjects are one family
        image.convert("RGB").resize((60, 45)).save(folder / "photos" / table["image"][50], quality=95)
    # all that may be tested is, where the family of the two comes last in the draw
    dataset = make(folder, table, subject="who", test_per_cell=20, validation=0, split_seed=25)
    notes = dataset.info["notes"]
    key = "images_that_are_not_tested_as_copies_of_them_have_other_classes_or_groups"
    assert notes[key] == {"count": 2, "names": ["cat 002.png", "dog 050.png"]}
    tested = set(dataset.samples.query("split == 'test'")["image_id"])
    assert tested.isdisjoint(notes[key]["names"])


def test_many_different_numbers_are_said_to_need_bins(own, monkeypatch):
    # how many images so many groups would need is simulated, and said in another sentence
    monkeypatch.setattr(power, "DRAWS", 100)
    folder, table = own
    table["group"] = np.arange(len(table))
    assert "or give the column group, which has 88 different numbers, bins" in refused(folder, table)


def test_a_split_of_the_table_is_taken_as_it_is(own):
    folder, table = own
    table["part"] = np.resize(["train", "Val", "test", "training"], len(table))
    dataset = make(folder, table, split="part")
    split = dataset.samples.set_index("image_id")["split"]
    wanted = {"Val": "validation", "training": "train"}
    assert (split[table["image"]].to_numpy() == table["part"].replace(wanted).to_numpy()).all()
    assert "validation" in dataset.info["folds"][0]["counts"]
    table.loc[7, "part"] = "holdout"
    shutil.rmtree(folder / "made")
    error = refused(folder, table, split="part")
    assert "splits other than train, validation and test: 1 (line 9: holdout)" in error


def test_a_split_without_a_cell_is_refused(own):
    folder, table = own
    table["part"] = np.where(table.index < 66, "train", "test")
    error = refused(folder, table, split="part", validation=0)
    assert "empty cells: 4 ((dog, outdoors) in train, (cat, indoors) in test, (cat, outdoors) in test, ...)" in error
    assert "change the column part" in error


def test_a_validation_split_is_the_columns_or_drawn_or_none(own):
    folder, table = own
    table["part"] = np.resize(["train", "test"], len(table))
    assert "the column part marks none" in refused(folder, table, split="part")
    assert "validation" not in make(folder, table, split="part", validation=0).info["folds"][0]["counts"]
    dataset = make(folder, table, split="part", validation=0.25)
    # round(0.25 * 11)
    assert cells(dataset, "validation") == [3] * 4
    assert cells(dataset, "test") == [11] * 4
    table["part"] = np.resize(["train", "validation", "test", "train"], len(table))
    shutil.rmtree(folder / "made")
    error = refused(folder, table, split="part", validation=0.25)
    assert "the column part marks 22 images, and validation is 0.25" in error


def test_copies_in_two_splits_are_named_or_left_out(own):
    folder, table = own
    table["part"] = np.resize(["train", "test"], len(table))
    photos = folder / "photos"
    # rows 0 and 2 are in training, rows 1 and 3 in test
    (photos / table["image"][0]).write_bytes((photos / table["image"][1]).read_bytes())
    with Image.open(photos / table["image"][3]) as image:
        image.convert("RGB").resize((60, 45)).save(photos / "near.jpg")
    table.loc[2, "image"] = "near.jpg"
    error = refused(folder, table, split="part", validation=0)
    found = "line 2: cat 000.png is in train, and line 3 in test, line 4: near.jpg is in train, and line 5 in test"
    assert f"copies of an image of another split: 2 ({found})" in error
    assert error.endswith(
        "; where images are no copies but only look alike, set duplicates to drop, or else mend these rows, or set "
        "on_error to skip to leave them out"
    )
    assert "copies of an image of another split: 1 (" in refused(
        folder, table, split="part", validation=0, duplicates="drop"
    )
    dataset = make(folder, table, split="part", validation=0, on_error="skip")
    assert {"cat 000.png", "near.jpg"}.isdisjoint(dataset.samples["image_id"])
    assert len(make(folder, table, split="part", validation=0, duplicates="keep").images) == len(table)


def test_copies_within_a_split_of_the_table_are_noted(own):
    folder, table = own
    table["part"] = np.resize(["train", "test"], len(table))
    shutil.copy(folder / "photos" / table["image"][4], folder / "photos" / table["image"][6])
    notes = make(folder, table, split="part", validation=0).info["notes"]
    copies = "images_that_are_copies_or_near-copies_of_others,_which_are_in_the_same_split_or_left_out"
    assert notes[copies] == {"count": 2, "names": ["cat 004.png", "cat 006.png = cat 004.png"]}


def test_near_copies_of_two_classes_within_the_test_split_of_the_table_are_noted(own):
    folder, table = own
    table["part"] = np.resize(["train", "test"], len(table))
    for copy, original in ((41, 1), (40, 2)):
        with Image.open(folder / "photos" / table["image"][original]) as image:
            image.convert("RGB").resize((60, 45)).save(folder / "photos" / table["image"][copy])
    notes = make(folder, table, split="part", validation=0).info["notes"]
    names = ["cat 001.png", "cat 041.png"]
    assert notes["test_images_of_which_copies_have_other_classes_or_groups"] == {"count": 2, "names": names}


def test_subjects_in_two_splits_are_named_or_left_out(own):
    folder, table = own
    table["part"] = np.resize(["train", "test"], len(table))
    table["who"] = table.index
    table.loc[6, "who"] = 9
    error = refused(folder, table, split="part", validation=0, subject="who")
    assert "images of a subject of another split: 1 (line 8: cat 006.png is in train, and line 11 in test)" in error
    dataset = make(folder, table, split="part", validation=0, subject="who", on_error="skip")
    assert len(dataset.images) == len(table) - 1


@pytest.mark.parametrize("folds", [1, 2])
def test_no_subject_and_no_copy_is_on_two_sides(own, folds):
    """Of subjects of three images, in several cells, and of copies across subjects."""
    folder, table = own
    table["who"] = [f"person {number}" for number in np.random.default_rng(0).permutation(len(table)) // 3]
    photos = folder / "photos"
    # the same picture of two people, of one cell
    (photos / table["image"][4]).write_bytes((photos / table["image"][5]).read_bytes())
    dataset_settings = {"subject": "who", "test_per_cell": 4, "validation": 0.2, "folds": folds}
    make(folder, table, **dataset_settings)
    who = table.set_index("image")["who"]
    for fold in range(folds):
        dataset = load_dataset(folder / "made", fold)
        samples = dataset.samples[dataset.samples["split"] != ""]
        person = samples["image_id"].map(who)
        # by the copy
        person = person.replace(who["cat 004.png"], who["cat 005.png"])
        assert (samples.groupby(person)["split"].nunique() == 1).all()
        assert cells(dataset, "test") == [4] * 4
        assert min(cells(dataset, "validation")) >= 2
        assert not {"cat 004.png", "cat 005.png"} <= set(samples.loc[samples["split"] == "test", "image_id"])
    if folds == 2:
        tested = [
            set(load_dataset(folder / "made", fold).samples.query("split == 'test'")["image_id"]) for fold in (0, 1)
        ]
        assert tested[0].isdisjoint(tested[1])


@pytest.mark.parametrize(
    "settings",
    [{"test_per_cell": 8, "validation": 0, "split_seed": 1}, {"split": "part", "validation": 0.5, "split_seed": 1}],
)
def test_people_of_one_image_are_on_one_side(own, settings):
    """Three images of each of two people, and a later row that names the second person in an image of the first's."""
    folder, table = own
    table["who"] = table["image"]
    table.loc[:2, "who"], table.loc[3:5, "who"] = "one", "two"
    table.loc[len(table)] = {**table.loc[0], "who": "two"}
    table["part"] = np.where(table.index % 22 >= 18, "test", "train")
    split = make(folder, table, subject="who", **settings).samples.set_index("image_id")["split"]
    # of a family that is tested, what is not tested is left out
    assert len({split.get(name, "") == "train" for name in table["image"][:6]}) == 1


@pytest.mark.parametrize(("first", "second"), [("train", "train"), ("train", "test"), ("test", "train")])
def test_an_image_of_a_person_of_another_split_is_left_out_whichever_row_names_them(own, first, second):
    """Two rows name two people in one image; each has another image, in training and in test."""
    folder, table = own
    table["part"] = np.resize(["train", "test"], len(table))
    table["who"] = table["image"]
    table.loc[0, "part"] = first
    table.loc[len(table)] = {**table.loc[0], "who": table["who"][3], "part": second}
    table.loc[2, "who"] = table["who"][0]
    table.loc[3, "part"] = "test" if first == second else "train"
    settings = {"split": "part", "validation": 0, "subject": "who"}
    assert "of a subject of another split: " in refused(folder, table, **settings)
    split = make(folder, table, **settings, on_error="skip").samples.set_index("image_id")["split"]
    assert split.reindex(table["image"][[0, 2, 3]]).dropna().nunique() == 1


def test_the_seed_decides_the_drawn_split(own):
    folder, table = own
    digests = [make(folder, table, split_seed=seed).info["sha256"] for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_an_image_that_changes_meanwhile_is_noticed(own, monkeypatch):
    folder, table = own
    from fairdistill.data import folder as module

    look = module._look_at_images

    def change_afterwards(*arguments):
        rows = look(*arguments)
        write_picture(folder / "photos" / table["image"][0], 999)
        return rows

    monkeypatch.setattr(module, "_look_at_images", change_afterwards)
    assert re.search(r"cat 000\.png: was changed while the data set was made", refused_after(folder, table))


def refused_after(folder, table):
    with pytest.raises(UserError) as error:
        make(folder, table)
    assert list((folder / "made").iterdir()) == []
    return str(error.value)


def test_whole_numbers_of_parquet_stay_what_they_are_where_one_is_missing(own):
    """As floats, such names would be those of other images."""
    folder, table = own
    first = 2**53 + 1
    names = [first + 2 * number for number in range(len(table))]
    for name, image in zip(names, table["image"], strict=True):
        (folder / "photos" / image).rename(folder / "photos" / f"{name}.png")
    table["image"] = pd.array([None, *names[1:]], dtype="Int64")
    made = make(folder, table, name="labels.parquet", on_error="skip")
    assert set(made.samples["image_id"]) <= {f"{name}.png" for name in names[1:]}
    assert "rows_left_out_for_rows_without_the_path_of_an_image" in made.info["notes"]


def test_a_column_that_pandas_takes_for_an_index_is_a_column(own):
    folder, table = own
    table.set_index("image").to_parquet(folder / "indexed.parquet")
    assert len(make(folder, folder / "indexed.parquet", validation=0.0).samples)


@pytest.mark.parametrize(
    ("values", "what"),
    [([["cat"]], r"the column 'label' has several values in a row"), ([b"\xff"], r"the column 'label' has bytes that")],
)
def test_values_of_parquet_that_are_no_names_are_refused(own, values, what):
    folder, table = own
    table["label"] = values * len(table)
    table.to_parquet(folder / "labels.parquet")
    assert re.search(what, refused(folder, folder / "labels.parquet"))


def test_bytes_of_parquet_are_text(own):
    folder, table = own
    table["label"] = [label.encode() for label in table["label"]]
    assert make(folder, table, name="labels.parquet").classes == ["cat", "dog"]


def test_numbers_of_parquet_in_single_precision_are_as_they_are_written(own):
    folder, table = own
    table["label"] = np.where(table["label"] == "cat", 0.1, 2.0).astype(np.float32)
    assert make(folder, table, name="labels.parquet").classes == ["0.1", "2"]
    table["label"] = table["label"].astype("category")
    assert make(folder, table, name="labels.parquet").classes == ["0.1", "2"]


def test_separators_within_quotes_are_none(own):
    folder, table = own
    path = write_table(folder, table.assign(note="none"))
    note = '"note; in; a; few;\nwords"'
    path.write_text(path.read_text(encoding="utf-8").replace("group,note", f"group,{note}", 1), encoding="utf-8")
    assert make(folder, path).classes == ["cat", "dog"]


@pytest.mark.parametrize("missing", ["nan", "NA", "#N/A", "NAN", "Null"])
def test_what_stands_for_a_missing_value_is_no_class(own, missing):
    folder, table = own
    table.loc[3, "label"] = missing
    assert (
        f"empty classes: 1 (line 5: cat 003.png); {missing} counts as missing: write it otherwise where it is a name, "
        "or else mend these rows, or set"
    ) in refused(folder, table)


def test_none_is_a_group_and_is_noted(own):
    folder, table = own
    table["group"] = np.where(table["group"] == "indoors", "None", "sunglasses")
    dataset = make(folder, table)
    assert dataset.groups == ["None", "sunglasses"]
    note = dataset.info["notes"]["values_taken_for_names,_which_may_stand_for_missing_ones"]
    assert note == {"count": 44, "names": ["None in group, 44 times"]}


def without_images(monkeypatch):
    """Let no image be read."""
    from fairdistill.data import folder

    monkeypatch.delattr(folder, "_see")


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"split": "part", "validation": 0}, "the column part marks 22 images, and validation is 0); leave validation"),
        ({"split": "half"}, "the column half marks none); set validation to a share of the training images"),
        ({"split": "half", "validation": 0, "label": "rest"}, "empty cells: 2 ((b, indoors) in test, (b, outdoors) in"),
        ({"label": "half", "group": "part"}, "empty cells: 4 ((test, test), (test, train), (train, Val), ...); every"),
        ({"test_per_cell": 22}, "cells that are too small: 4 ((cat, indoors) 22, "),
        ({"group": "all"}, "columns with one value: 1 (the group (all) is always 1)"),
    ],
)
def test_what_the_table_alone_rules_out_is_said_before_images_are_read(own, monkeypatch, settings, wanted):
    monkeypatch.setattr(power, "DRAWS", 100)
    folder, table = own
    table["part"] = np.resize(["train", "Val", "test", "training"], len(table))
    table["half"] = np.resize(["train", "test"], len(table))
    table["rest"] = np.where(table["half"] == "test", "a", np.resize(["a", "b", "b"], len(table)))
    table["all"] = 1
    without_images(monkeypatch)
    assert wanted in refused(folder, table, **settings)


def test_images_are_read_where_mended_rows_may_fill_the_cells(own):
    """So that one report has what is wrong with rows and what is wrong with images."""
    folder, table = own
    table.loc[:2, "image"] = "gone.png"
    (folder / "photos" / table["image"][40]).write_bytes(b"no picture")
    error = refused(folder, table)
    assert "missing files: 3" in error
    assert "files that cannot be decoded: 1" in error
    assert "cells that are too small: 1 ((cat, indoors) 19)" in error


def test_a_row_that_is_left_out_still_says_whom_an_image_shows(own):
    """The second person of an image is named by a row without a class; another image of theirs is tested."""
    folder, table = own
    table["part"] = np.resize(["train", "test"], len(table))
    table["who"] = table["image"]
    table.loc[len(table)] = {**table.loc[0], "label": "", "who": table["who"][3]}
    dataset = make(folder, table, split="part", validation=0, subject="who", on_error="skip")
    assert table["image"][0] not in set(dataset.samples["image_id"])
    note = dataset.info["notes"]["rows_left_out_for_images_of_a_subject_of_another_split"]
    assert note["names"] == ["line 2: cat 000.png is in train, and line 5 in test"]


@pytest.mark.parametrize(
    ("one", "other"), [("1", "1.0"), ("cat", "Cat"), ("é", "e\u0301"), ("cat", "c\u200bat"), ("a b", "a  b")]
)
def test_classes_that_only_differ_in_how_they_are_written_are_refused(own, one, other):
    """Nor does anything else follow from that, as a cell without images, or two names for one class."""
    folder, table = own
    table["label"] = np.where(table["label"] == "dog", "ant", one)
    table.loc[[7, 9], "label"] = other
    assert refused(folder, table) == (
        f"{folder / 'labels.csv'}: values of label that only differ in how they are written: 1 ({other!a}, first in "
        f"line 9, and {one!a}); write them alike"
    )


def test_a_person_whose_name_is_written_in_two_ways_is_not_taken_for_two(own):
    folder, table = own
    # numbers that are no more alike for being beyond those that a float holds
    table["who"] = [f"{row}e45678" if row % 2 else f"{10**20 + row}" for row in table.index]
    table.loc[[3, 5], "who"] = ["Anna7", "anna7"]
    assert (
        "values of who that only differ in how they are written: 1 ('anna7', first in line 7, and 'Anna7'); write "
        "them alike where they are one person, and give one of them another name where they are two"
    ) in refused(folder, table, subject="who")


def test_combinations_of_groups_that_have_one_name_are_refused(own):
    folder, table = own
    half = len(table) // 2
    table["g"], table["h"] = ["p x q"] * half + ["p"] * half, ["r"] * half + ["q x r"] * half
    assert "combinations of one name: 1 (p x q x r)" in refused(folder, table, group=["g", "h"])


def test_an_extension_is_only_left_out_where_there_is_none(own):
    folder, table = own
    name = table.loc[0, "image"]
    (folder / "photos" / name).rename(folder / "photos" / f"{name}.bak")
    assert f"missing files: 1 (line 2: {name})" in refused(folder, table)
    (folder / "photos" / f"{name}.bak").rename(folder / "photos" / f"{name}.png")
    assert f"missing files: 1 (line 2: {name})" in refused(folder, table)


def test_of_names_that_look_alike_the_one_that_is_written_is_taken(own):
    folder, table = own
    composed, parted = "\u00e9.png", "e\u0301.png"
    write_picture(folder / "photos" / composed, 900)
    write_picture(folder / "photos" / parted, 901)
    table.loc[0, "image"] = parted
    made = make(folder, table, validation=0.0)
    assert parted in set(made.samples["image_id"])
    assert composed not in set(made.samples["image_id"])


def test_an_infinite_number_has_no_interval(own):
    folder, table = own
    table["group"] = [10, 30] * (len(table) // 2)
    table["group"] = table["group"].astype(object)
    table.loc[0, "group"] = "inf"
    assert "values of group that are no numbers: 1 (line 2: inf)" in refused(folder, table, bins={"group": [20]})


def test_a_line_break_in_a_value_is_no_line_break_in_the_error(own):
    folder, table = own
    table.loc[0, "image"] = "no\nfile.png"
    assert "missing files: 1 (line 2: no\\nfile.png)" in refused(folder, table)


def test_what_was_left_out_as_a_copy_takes_no_one_with_it(own):
    """A validation image is a copy of a test image; the training images of its subject stay."""
    folder, table = own
    table["split"] = ["train", "train", "test"] * (len(table) // 3) + ["train"] * (len(table) % 3)
    table["person"] = [f"p{number}" for number in range(len(table))]
    tested, copy = table.index[table["split"] == "test"][0], table.index[table["split"] == "train"][0]
    table.loc[copy, "split"] = "validation"
    sibling = table.index[table["split"] == "train"][0]
    table.loc[sibling, "person"] = table.loc[copy, "person"]
    shutil.copy(folder / "photos" / table.loc[tested, "image"], folder / "photos" / table.loc[copy, "image"])
    table.loc[copy, ["label", "group"]] = table.loc[tested, ["label", "group"]]
    for cell in table.groupby(["label", "group"]).groups.values():
        table.loc[next(one for one in cell if one not in (tested, copy, sibling)), "split"] = "validation"
    made = make(folder, table, split="split", subject="person", on_error="skip", duplicates="drop")
    used = set(made.samples["image_id"])
    assert table.loc[copy, "image"] not in used
    assert {table.loc[sibling, "image"], table.loc[tested, "image"]} <= used


def test_what_the_users_own_files_held_is_recorded(own, monkeypatch):
    """So the next plan sees where the job has read something else than the plan before it."""
    folder, table = own
    paths = [folder / "photos", write_table(folder, table)]
    settings = Folder(kind="folder", labels="labels.csv", image_size=8)
    cache = folder / "cache.json"
    info = prepare_dataset(folder / "made", settings, paths, content_cache=cache)
    assert info["source"]["own_files"] == content_of(paths, cache).digest
    made = (folder / "made" / "dataset.json").read_bytes()
    read_rows = folder_kind.read_rows

    def changed_meanwhile(*arguments):
        paths[1].write_text(paths[1].read_text() + "\n")
        return read_rows(*arguments)

    monkeypatch.setattr(folder_kind, "read_rows", changed_meanwhile)
    with pytest.raises(UserError, match="the files that made is made from were changed meanwhile; run the same"):
        prepare_dataset(folder / "made", settings, paths, content_cache=cache)
    assert (folder / "made" / "dataset.json").read_bytes() == made
