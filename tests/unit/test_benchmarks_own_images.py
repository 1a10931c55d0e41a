"""What benchmarks/own_images.py measures: pictures, a table and a configuration as users have them."""

import json

import pandas as pd
from PIL import Image

from benchmarks import own_images
from fairdistill.settings.configuration import complete


def test_the_folder_is_of_all_cells_alike_and_its_configuration_is_a_study(tmp_path):
    config = json.loads(own_images.make(tmp_path, 12, 3, 2).read_text(encoding="utf-8"))
    study = complete(config, config)
    assert study.data.sets["own"].kind == "folder"
    table = pd.read_csv(tmp_path / "labels.csv")
    assert set(table.value_counts(["class", "group"])) == {2}
    for file in table["file"]:
        with Image.open(tmp_path / "images" / file) as picture:
            assert picture.size == own_images.PIXELS
    assert len({(tmp_path / "images" / file).read_bytes() for file in table["file"]}) == 12
