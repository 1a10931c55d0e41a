"""The file with a paper's numbers: what is read of it, and what it is refused for."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete
from fairdistill.settings.paper import COLUMNS, judges_conclusions, read_paper_values

PAPER_VALUES = Path(__file__).parents[2] / "config" / "paper_values.csv"
HEADER = ",".join(COLUMNS)
ROW = "fig2,utkface,resnet,student,deo,0.18,"


def write(path, *lines):
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def test_the_projects_own_file_is_read():
    values = read_paper_values(PAPER_VALUES)

    assert len(values) == 24
    assert values[0].claim == ("table1", "mean_of_both", "resnet", "student", "accuracy")
    assert (values[0].value, values[0].note) == (0.735, "")
    assert "only 0.29 reproduces Table I" in values[16].note


def test_columns_may_stand_in_any_order_and_spreadsheets_may_have_saved_them(tmp_path):
    path = tmp_path / "values.csv"
    path.write_text(
        "\ufeffnote,value,metric,role,architecture,dataset,source\r\n,0.18,deo,student,resnet,utkface,fig2\r\n\r\n",
        encoding="utf-8",
    )

    (value,) = read_paper_values(path)

    assert value.to_json() == dict(zip(COLUMNS, [*ROW.split(",")[:5], 0.18, ""], strict=True))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda text: text.replace("metric", "metrics", 1),
            ": row 1: column 'metrics' is not known; they are source, ",
        ),
        (lambda text: text.replace(",note", ",note,class", 1), ": row 1: column 'class' is not known"),
        (lambda text: text.replace(",note", "", 1), ": row 1: column 'note' is missing"),
        (lambda text: text.replace(",note", ",note,note", 1), ": row 1: a column comes twice"),
        (lambda text: text.replace("0.735", "73.5%"), ': row 2: value is "73.5%"; it must be a number'),
        (lambda text: text.replace("0.735", "nan"), ": row 2: value is "),
        (lambda text: text.replace("0.735", ""), ': row 2: value is ""; it must be a number'),
        (lambda text: text.replace("0.735", "73.5"), ': row 2: value is "73.5"; it must be at most 1'),
        (lambda text: text.replace("0.735", "-0.1"), ': row 2: value is "-0.1"; it must be at least 0'),
        (lambda text: text.replace("student,deo", "student,eod", 1), ": row 3: metric is \"eod\"; did you mean 'deo'?"),
        (lambda text: text.replace("teacher,deo", "tutor,deo", 1), ': row 5: role is "tutor"; '),
        (lambda text: text.replace("0.735,", "0.735", 1), ": row 2: has 6 values for 7 columns"),
        (lambda text: text.replace("0.735,", "0,735,", 1), ": row 2: has 8 values for 7 columns"),
        (
            lambda text: text + "\n" + text.splitlines()[3],
            ": row 27: the same number as row 4 (table1 mean_of_both resn",
        ),
        (lambda text: text.splitlines()[0], ": has no row below the header"),
        (lambda text: "", ": row 1: column 'source' is missing"),
        (lambda text: text + '"', ": not readable as CSV ("),
    ],
)
def test_values_that_cannot_be_used_are_named_with_file_and_row(tmp_path, edit, message):
    path = tmp_path / "paper_values.csv"
    path.write_text(edit(PAPER_VALUES.read_text()))

    with pytest.raises(UserError) as caught:
        read_paper_values(path)

    assert str(caught.value).startswith(f"{path}{message}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "values.csv"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(UserError, match=r"values\.csv: not readable as CSV .*save it as CSV in UTF-8"):
        read_paper_values(path)


def test_reading_it_is_light_enough_for_planning():
    code = (
        "import sys; from fairdistill.settings.paper import read_paper_values; "
        f"read_paper_values({str(PAPER_VALUES)!r}); "
        "print(sorted({'pandas', 'numpy', 'torch'} & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("cifar10,", "cifar11,", "dataset is 'cifar11'"), (",resnet,", ",resnettt,", "architecture is 'resnettt'")],
)
def test_names_that_the_study_does_not_know_are_named_with_file_and_row(tmp_path, old, new, message):
    path = tmp_path / "values.csv"
    path.write_text(PAPER_VALUES.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=rf"values\.csv: row \d+: {message}, which is not known; it must be one of "):
        read_paper_values(path, study=complete({}))
    assert read_paper_values(PAPER_VALUES, study=complete({}))


@pytest.mark.parametrize(
    ("old", "given", "judged"),
    [
        ("0.735", {}, True),
        ("0.7", {}, False),
        ("0.735", {"datasets": ["utkface"]}, False),
        ("0.735", {"architectures": ["resnet"]}, False),
        ("0.735", {"paper_method": None}, False),
        ("0.735", {"paper_values": None}, False),
    ],
)
def test_the_papers_sentences_are_judged_of_its_own_grid_beside_its_own_numbers_alone(tmp_path, old, given, judged):
    copy = tmp_path / "values.csv"
    copy.write_text(PAPER_VALUES.read_text(encoding="utf-8").replace("0.735", old), encoding="utf-8")
    study = complete({"paper_values": str(copy), "paper_method": "mfd"} | given)
    assert judges_conclusions(study, PAPER_VALUES) == judged


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(UserError, match=f"^{re.escape(str(tmp_path))}: Is a directory; it is a folder; give the path"):
        read_paper_values(tmp_path)
