"""docs/first_student.md, followed word for word in a copy of the project: what it shows is what is printed."""

import json
import re
from pathlib import Path

import pytest
from pages import blocks, run, write
from running import copy_project

pytestmark = pytest.mark.long

PAGE = Path(__file__).parents[2] / "docs" / "first_student.md"
# the environment is the one that the tests run in
LEFT_OUT = "the environment"


def without_decimals(text):
    """What other hardware prints, too: words and whole numbers; percentages and decimals become `#`."""
    return re.sub(r"\d+\.\d+", "#", text)


@pytest.fixture(scope="module")
def followed(checkout, tmp_path_factory):
    """A copy of the project in which the page was followed; each block that shows something, and what was printed."""
    folder = copy_project(tmp_path_factory.mktemp("first") / "project", origin=checkout)
    (folder / "mine").mkdir()
    printed, shown = "", []
    for block in blocks(PAGE):
        if block.language == "text":
            shown.append((block, printed))
        elif block.language != "bash":
            write(folder, block)
        elif block.title != LEFT_OUT:
            printed = run(folder, block.text)
    return folder, shown


def test_what_the_page_shows_is_printed(followed):
    _, shown = followed
    assert len(shown) == 4
    for block, printed in shown:
        assert without_decimals(block.text) in without_decimals(printed), block.title


def test_the_student_is_fairer_than_its_teacher_and_no_less_accurate(followed):
    """As the page says of its run: by both measures, and a loss of 0.02 in accuracy counts as none."""
    folder, _ = followed
    teacher, student = (
        json.loads((folder / f"results/first/metrics/digits_s/resnet/{name}/seed0.json").read_text("utf-8"))["metrics"]
        for name in ("teacher", "mfd")
    )
    assert student["deo_a"] < teacher["deo_a"]
    assert student["deo_m"] < teacher["deo_m"]
    assert student["accuracy"] > teacher["accuracy"] - 0.02


def test_what_the_page_writes_is_in_the_projects_style(followed):
    folder, _ = followed
    style = PAGE.parents[1] / "pyproject.toml"
    run(folder, f"python -m ruff check --config {style} mine && python -m ruff format --check --config {style} mine")
