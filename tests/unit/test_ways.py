"""Which algorithm computes a convolution, by the tables of what was measured."""

import csv
import re
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import torch

from benchmarks import convolutions as measuring
from fairdistill.runtime.errors import UserError
from fairdistill.training.engines import fast, reference, ways
from fairdistill.training.engines.ways import WHOLE, Algorithm, Precision, Shape, Way

CPU, GPU = torch.device("cpu"), torch.device("cuda")
DENSE = Shape(depthwise=False, kernel=3, stride=1, size=8, into=64, out=64)
TABLES = sorted(ways.TABLES.glob("ways.*.csv"))


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """A function that writes a table of a kind of processor, in the place of those that are committed."""

    def write(kind, rows):
        columns = [*Shape._fields, "precision", "algorithm", *Way._fields]
        lines = [[*shape, precision, algorithm, *times] for shape, precision, algorithm, *times in rows]
        pd.DataFrame(lines, columns=columns).to_csv(ways.table_of(kind), index=False)

    monkeypatch.setattr(ways, "TABLES", tmp_path)
    ways.forget()
    yield write
    ways.forget()


@pytest.mark.parametrize(
    ("amx", "bf16", "capability", "kind"),
    [
        (True, True, "AVX512", "amx"),
        (False, True, "AVX512", "avx512_bf16"),
        (False, False, "AVX512", "avx512"),
        (False, False, "AVX2", "avx2"),
        (False, False, "SVE256", "other"),
    ],
)
def test_a_processor_is_what_torch_says_of_it(monkeypatch, amx, bf16, capability, kind):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert ways.processor() == kind


@pytest.mark.parametrize(
    ("kind", "nearest"),
    [("amx", "avx512_bf16"), ("avx512_bf16", "avx512_bf16"), ("avx512", "avx2"), ("avx2", "avx2"), ("other", "avx2")],
)
def test_what_was_not_measured_takes_the_nearest_that_was(tables, kind, nearest):
    for known in ("avx512_bf16", "avx2"):
        tables(known, [(DENSE, "fp32", "onednn", 1.0, 1.0, 1.0)])
    assert ways.measured(kind, "fp32") == nearest


def test_in_bfloat16_the_nearest_is_one_that_has_it(tables):
    tables("avx2", [(DENSE, "fp32", "onednn", 1.0, 1.0, 1.0)])
    tables("amx", [(DENSE, precision, "onednn", 1.0, 1.0, 1.0) for precision in ("fp32", "bf16")])
    assert [ways.measured("avx2", precision) for precision in ("fp32", "bf16")] == ["avx2", "amx"]
    assert ways.fastest_way(DENSE, "bf16", "avx2") == Way()


def test_each_pass_goes_the_fastest_way(tables):
    rows = [(DENSE, "fp32", "onednn", 1.0, 1.0, 3.0), (DENSE, "fp32", "taps", 2.0, 0.5, 2.0)]
    rows += [(DENSE, "bf16", "onednn", 1.0, 1.0, 1.0), (DENSE, "bf16", "taps", 2.0, 2.0, 2.0)]
    tables("avx2", rows)
    assert ways.fastest_way(DENSE, "fp32", "avx512") == Way("onednn", "taps", "taps")
    assert ways.fastest_way(DENSE, "bf16", "avx512") == Way()


@pytest.mark.parametrize(("last", "wanted"), [(0.3, WHOLE), (0.5, Way("onednn", "taps", "onednn"))])
def test_a_whole_map_is_multiplied_where_all_three_passes_together_are_faster(tables, last, wanted):
    rows = [(DENSE, "bf16", "onednn", 1.0, 1.0, 1.0), (DENSE, "bf16", "taps", 2.0, 0.5, 2.0)]
    tables("amx", [*rows, (DENSE, "bf16", "whole", 0.1, 2.0, last)])
    assert ways.fastest_way(DENSE, "bf16", "amx") == wanted


def test_the_forward_pass_of_depthwise_convolutions_has_one_algorithm(tables):
    """That of the table's second row is the same, and noise is no reason to take it."""
    shape = DENSE._replace(depthwise=True)
    tables("amx", [(shape, "bf16", "onednn", 1.0, 5.0, 5.0), (shape, "bf16", "float32", 0.9, 1.0, 6.0)])
    assert ways.fastest_way(shape, "bf16", "amx") == Way("onednn", "float32", "onednn")


def test_a_shape_takes_the_way_of_the_nearest_with_its_kernel_and_stride(tables):
    small, large, other = DENSE._replace(size=2), DENSE._replace(size=32), DENSE._replace(kernel=5)
    rows = [(small, "fp32", "onednn", 2.0, 2.0, 2.0), (small, "fp32", "taps", 1.0, 1.0, 1.0)]
    rows += [(shape, "fp32", "onednn", 1.0, 1.0, 1.0) for shape in (large, other)]
    tables("avx2", rows)
    products = Way("taps", "taps", "taps")
    # by the ratio of edges and channels: 7 is nearer to 2 than to 32
    for size, way in ((1, products), (2, products), (7, products), (9, Way()), (100, Way())):
        assert ways.fastest_way(DENSE._replace(size=size), "fp32", "avx2") == way
    assert ways.fastest_way(DENSE._replace(stride=2), "fp32", "avx2") is None
    assert ways.fastest_way(DENSE._replace(depthwise=True), "fp32", "avx2") is None


@pytest.mark.parametrize(("bf16", "pays"), [(0.9, True), (1.1, False)])
def test_bfloat16_pays_where_the_fastest_ways_take_less_time_in_it(tables, monkeypatch, bf16, pays):
    rows = [(DENSE, "fp32", "onednn", 1.0, 1.0, 9.0), (DENSE, "fp32", "taps", 9.0, 9.0, 1.0)]
    tables("avx512_bf16", [*rows, (DENSE, "bf16", "onednn", bf16, bf16, bf16)])
    monkeypatch.setattr(ways, "processor", lambda: "amx")
    assert fast.bf16_pays(CPU, "resnet18") == pays
    assert fast.convolutions(CPU, "bf16") == "avx512_bf16"
    assert fast.convolutions(GPU, "bf16") is None
    assert reference.convolutions(CPU, "fp32") is None


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_committed_table_is_whole(path):
    kind = path.stem.removeprefix("ways.")
    assert kind in ways.PROCESSORS
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for row in rows:
        assert all(float(row[name]) > 0 for name in Way._fields)
        shape = Shape(row["depthwise"] == "True", *(int(row[name]) for name in Shape._fields[1:]))
        found.setdefault((shape, row["precision"]), []).append(row["algorithm"])
    precisions = ["fp32"] + ["bf16"] * (kind in ("avx512_bf16", "amx"))
    # what the command measures today, each once
    assert found == {
        (shape, precision): measuring.algorithms(shape, precision)
        for shape in measuring.shapes()
        for precision in precisions
    }


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("depthwise", "TRUE", "'TRUE' is none of True, False"),
        ("precision", "fp16", "'fp16' is none of fp32, bf16"),
        ("algorithm", "magic", "'magic' is none of onednn, taps, whole, float32"),
        ("algorithm", "taps", "has no times of onednn for Shape"),
        ("size", 0, "not above zero"),
        ("of_weight", float("nan"), "could not convert string to float: ''"),
        ("of_weight", -1.0, "not above zero"),
        ("of_images", None, "it lacks the column of_images"),
        ("size", "8" * 200_000, "field larger than field limit"),
    ],
)
def test_a_damaged_table_is_one_line(tables, column, value, what):
    tables("avx2", [(DENSE, "fp32", "onednn", 1.0, 1.0, 1.0)])
    path = ways.table_of("avx2")
    table = pd.read_csv(path).astype({column: object}).assign(**{column: value})
    (table.drop(columns=column) if value is None else table).to_csv(path, index=False)
    with pytest.raises(UserError, match=rf"^{path}: .*{re.escape(what)}.*python -m benchmarks.convolutions$"):
        ways.fastest_way(DENSE, "fp32", "avx2")


@pytest.mark.parametrize("content", [None, "", b"\xff\xfe\x00", "<<<<<<< ours\n>>>>>>> theirs\n"])
def test_without_a_table_that_can_be_read_is_one_line(tables, content):
    path = ways.table_of("avx2")
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r"^[^\n]*(no table of ways has times in fp32|not readable as a table)[^\n]*$"):
        ways.fastest_way(DENSE, "fp32", "avx2")


@pytest.mark.parametrize("damage", [lambda head: "", lambda head: head, lambda head: f"version {'x' * 500}\n"])
def test_a_table_that_has_lost_its_rows_is_not_one_that_was_not_measured(tables, damage):
    for kind in ("avx2", "avx512_bf16"):
        tables(kind, [(DENSE, "fp32", "onednn", 1.0, 1.0, 1.0)])
    path = ways.table_of("avx2")
    path.write_text(damage(path.read_text().splitlines()[0] + "\n"))
    with pytest.raises(
        UserError, match=rf"^{path}: not readable as a table of ways \(it (lacks the column|has no rows)"
    ):
        ways.fastest_way(DENSE, "fp32", "avx2")


def test_the_page_on_processors_says_which_table_each_kind_takes():
    text = (Path(__file__).parents[2] / "docs" / "processors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| (bf16|fp32) \| (.*) \|$", text, re.MULTILINE)
    assert sorted(kind for kind, _, _ in rows) == sorted(ways.PROCESSORS)
    for kind, auto, table in rows:
        nearest = ways.measured(kind, auto)
        # the kinds that have bfloat16
        assert (auto == "bf16") == (kind in ("amx", "avx512_bf16") and ways.bf16_pays(kind))
        assert (table == "a table of its own") == (nearest == kind)
        assert nearest == kind or f"`{nearest}`" in table
        # which other kinds of table have rows for bf16, too
        assert ("the rows for fp32" in table) == (auto == "fp32" and nearest != kind)


def test_this_processor_has_a_table():
    assert TABLES
    assert ways.fastest_way(DENSE, "fp32", ways.processor()) is not None


def test_the_command_measures_every_algorithm_of_every_shape(tables, tmp_path, monkeypatch, capsys):
    shapes = [Shape(False, 3, 1, 2, 4, 4), Shape(False, 1, 2, 3, 4, 8), Shape(True, 3, 2, 3, 4, 4)]
    monkeypatch.setattr(measuring, "shapes", lambda: iter(shapes))
    monkeypatch.setattr(ways, "processor", lambda: "amx")
    monkeypatch.setattr(ways, "has_bfloat16", lambda: True)
    # another folder than where they are read from
    options = [f"--output={tmp_path / 'page'}", f"--tables={tmp_path / 'tables'}", "--repeats=1"]
    monkeypatch.setattr("sys.argv", ["convolutions", *options])
    # what they set is of the whole process
    monkeypatch.setattr(measuring, "be_deterministic", lambda threads: None)
    monkeypatch.setattr(measuring, "keep_freed_memory", lambda: None)
    measuring.main()
    table = pd.read_csv(tmp_path / "tables" / "ways.amx.csv")
    found = table.groupby(["kernel", "stride", "precision"])["algorithm"].apply(list).to_dict()
    assert found == {
        (3, 1, "fp32"): ["onednn", "taps", "whole"],
        (3, 1, "bf16"): ["onednn", "taps", "whole"],
        (1, 2, "fp32"): ["onednn", "taps"],
        (1, 2, "bf16"): ["onednn", "taps"],
        (3, 2, "fp32"): ["onednn"],
        (3, 2, "bf16"): ["onednn", "float32"],
    }
    page = (tmp_path / "page" / "convolutions.md").read_text()
    assert all(f"`{algorithm}`" in page.split("| depthwise |")[0] for algorithm in get_args(Algorithm))
    written = capsys.readouterr().err.splitlines()[-1]
    assert written == f"Written: {tmp_path / 'tables' / 'ways.amx.csv'}, {tmp_path / 'page' / 'convolutions.md'}"
    assert page.count("| bf16 ") == page.count("| fp32 ") == 3
    for shape in shapes:
        for precision in get_args(Precision):
            assert set(ways.fastest_way(shape, precision, "amx")) <= set(get_args(Algorithm))
