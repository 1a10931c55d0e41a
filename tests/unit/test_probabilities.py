"""The published probabilities: how their file is written, and what it says of right and wrong answers."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from fairdistill.evaluation.probabilities import read_cells, write_compact
from fairdistill.runtime.errors import UserError

GROUPS = ["g", "h"]


def table(*rows, split="test"):
    """Images from (label, group, p0, p1, ...); two classes, or three."""
    label, group, *p = map(np.array, zip(*rows, strict=True))
    given = {"label": label.astype("int16"), "group": group.astype("int16")}
    named = {"sample_id": np.arange(len(rows), dtype="int32"), "image_id": [f"{i}.jpg" for i in range(len(rows))]}
    return pd.DataFrame(
        named | {"split": split} | given | {f"p{y}": of_class.astype("float32") for y, of_class in enumerate(p)}
    )


# of two classes, all right: each probability the least or the largest that there is
SURE = [(0, 0, 1.0, 0.0), (1, 0, 0.0, 1.0), (0, 1, 1.0, 0.0), (1, 1, 0.0, 1.0)]


@pytest.fixture
def cells(tmp_path):
    """Write predictions, and return what is read of them: least, most and count of each split."""

    def of(predictions):
        predictions.to_parquet(tmp_path / "predictions.parquet")
        write_compact(tmp_path / "compact.parquet", tmp_path / "predictions.parquet")
        classes = [name for name in predictions if name[1:].isdigit()]
        found = read_cells(tmp_path / "compact.parquet", classes=classes, groups=GROUPS)
        return {name: tuple(part.tolist() for part in parts) for name, parts in found.items()}

    return of


def test_sure_answers_are_known(cells):
    wrong = [(0, 0, 0.0, 1.0), (1, 1, 1.0, 0.0), (1, 1, 1.0, 0.0)]

    least, most, count = cells(table(*SURE, *wrong))["metrics"]

    assert least == most == [[0.5, 1.0], [1.0, 1 / 3]]
    assert count == [[2, 1], [1, 3]]


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan])
@pytest.mark.parametrize("column", ["p0", "p1"])
def test_what_is_no_probability_is_refused(cells, column, value):
    predictions = table(*SURE)
    predictions.loc[2, column] = value

    with pytest.raises(UserError, match=r"compact\.parquet: a probability is not a number in 0\.\.1$"):
        cells(predictions)


def test_a_tie_of_half_precision_may_be_right_or_wrong(cells):
    # half precision has steps of 0.0005 from 0.5 on, and of 0.00024 below
    ties = [(0, 0, 0.50001, 0.49999, 0.0), (1, 0, 0.50001, 0.49999, 0.0), (2, 0, 0.50001, 0.49999, 0.0)]
    others = [(0, 1, 0.501, 0.499, 0.0), (1, 1, 0.501, 0.499, 0.0), (2, 1, 0.3333, 0.33334, 0.33333)]

    least, most, _ = cells(table(*ties, *others))["metrics"]

    assert least == [[0, 0, 0], [1, 0, 0]]
    assert most == [[1, 1, 0], [1, 0, 1]]


def test_labels_that_were_drawn_are_compared_in_place_of_the_most_probable(cells):
    drawn = table(*SURE).assign(prediction=np.array([0, 0, 1, 1], dtype="int16"))

    least, most, _ = cells(drawn)["metrics"]

    assert least == most == [[1, 0], [0, 1]]


def test_each_split_has_its_own_cells(cells):
    wrong = [(label, group, 1 - p0, 1 - p1) for label, group, p0, p1 in SURE]

    found = cells(pd.concat([table(*SURE), table(*wrong, *wrong, split="validation")]))

    assert found == {
        "metrics": ([[1, 1], [1, 1]], [[1, 1], [1, 1]], [[1, 1], [1, 1]]),
        "validation": ([[0, 0], [0, 0]], [[0, 0], [0, 0]], [[2, 2], [2, 2]]),
    }


def test_the_file_is_small_and_without_names(tmp_path):
    # rows with numbers of their own, as of a part of a table
    predictions = table(*SURE, *SURE).iloc[[6, 1, 3]]
    predictions.to_parquet(tmp_path / "predictions.parquet")

    write_compact(tmp_path / "compact.parquet", tmp_path / "predictions.parquet")

    file = pq.ParquetFile(tmp_path / "compact.parquet")
    types = {one.name: str(one.type) for one in file.schema_arrow}
    assert list(types) == ["sample_id", "split", "label", "group", "p0", "p1"]
    assert {types["p0"], types["p1"]} == {"halffloat"}
    columns = [file.metadata.row_group(0).column(place) for place in range(len(types))]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert file.read().column("sample_id").to_pylist() == [6, 1, 3]


def test_a_damaged_file_is_one_line(tmp_path):
    file = tmp_path / "compact.parquet"
    file.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=rf"^{file}: .*Parquet") as caught:
        read_cells(file, classes=["a", "b"], groups=GROUPS)
    assert "\n" not in str(caught.value)
