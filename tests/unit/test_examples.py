"""The figure of examples: images of the cells that a model recognises worst."""

import json

import numpy as np
import pytest
from figure_texts import cut_texts
from matplotlib.colors import to_hex
from studies_with_pages import run

from fairdistill.reporting.examples import CELLS, IMAGES, plot_examples, worst_cells
from fairdistill.runtime.errors import UserError
from scripts import plot_examples as script


def wrong_in(dataset, cells):
    """Predictions of the test images that are right but in some cells (class, group)."""
    _, label, group = dataset.split("test")
    found = label.copy()
    for y, a in cells:
        found[(label == y) & (group == a)] = (y + 1) % len(dataset.classes)
    return found


def test_the_worst_cells_come_first_and_their_images_are_of_the_test_split(tiny):
    rows, label, group = tiny.split("test")
    found = worst_cells(tiny, wrong_in(tiny, [(1, 1), (2, 0)]))
    assert len(found) == CELLS
    assert [(cell.label, cell.group) for cell in found[:2]] == [(1, 1), (2, 0)]
    for cell in found:
        inside = set(rows[(label == cell.label) & (group == cell.group)])
        assert set(cell.rows) <= inside
        assert len(cell.rows) == min(IMAGES, len(inside))
    again = worst_cells(tiny, wrong_in(tiny, [(1, 1), (2, 0)]))
    assert [cell.rows.tolist() for cell in again] == [cell.rows.tolist() for cell in found]


def test_each_image_has_what_each_model_takes_it_for(tiny):
    first, second = wrong_in(tiny, [(1, 1)]), tiny.split("test")[1]
    figure = plot_examples(tiny, {"teacher": first, "student": second}, name="tiny")
    assert figure.get_suptitle() == "tiny, first seed: the cells in which the teacher is least accurate"
    beside, panel, *_ = figure.axes
    title, teacher, student = beside.texts[0].get_text().split("\n")
    assert title == f"class {tiny.classes[1]}, {tiny.groups[1]}"
    assert (teacher, student) == ("teacher: 0%", "student: 100%")
    wrong, right = (text.get_text() for text in panel.texts)
    assert wrong == f"{tiny.classes[2 % len(tiny.classes)]} ✗"
    assert right == f"{tiny.classes[1]} ✓"
    # told apart in grey print and by the colour-blind, whatever colours the images have
    boxes = [text.get_bbox_patch() for text in panel.texts]
    assert boxes[1] is None
    assert [to_hex(colour) for colour in (panel.texts[0].get_color(), boxes[0].get_facecolor())] == [
        "#ffffff",
        "#000000",
    ]
    assert to_hex(panel.texts[1].get_color()) == "#000000"
    assert "✓ right; ✗, white on black: wrong" in figure.get_supxlabel()
    assert cut_texts(figure) == []
    cell = worst_cells(tiny, first)[0]
    assert np.array_equal(panel.images[0].get_array(), tiny.images[cell.rows[0]])


def test_without_predictions_there_is_nothing_to_draw(tiny):
    with pytest.raises(UserError, match="no predictions to draw examples of"):
        plot_examples(tiny, {}, name="tiny")


def test_the_script_draws_the_predictions_of_trained_models(trained, tiny_folder, tmp_path):
    files = {"trainings": [trained / "training.json"] * 2, "predictions": [trained / "predictions.parquet"] * 2}
    figure = {"dataset": "tiny", "pdf": tmp_path / "x.pdf", "png": tmp_path / "x.png"}
    run(script, data=tiny_folder, **files, **figure)
    assert (tmp_path / "x.png").stat().st_size > 10_000
    with pytest.raises(UserError, match="give as many of the one as of the other"):
        run(script, data=tiny_folder, trainings=files["trainings"][:1], predictions=files["predictions"], **figure)
    # predictions of another model are refused
    record = json.loads((trained / "training.json").read_text())
    record["outputs"]["predictions.parquet"] = "0" * 64
    (tmp_path / "training.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="does not belong to"):
        run(
            script,
            data=tiny_folder,
            trainings=[tmp_path / "training.json"],
            predictions=files["predictions"][:1],
            **figure,
        )
