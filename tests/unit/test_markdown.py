"""Names in Markdown are shown as they are."""

import pytest
from markdown_it import MarkdownIt

from fairdistill.evaluation.markdown import escape

NAMES = [
    *("DEO_A", "_a_", "__a__", "*a*", "**a**", "~~a~~", "`a`", "[a](b)", "![a](b)"),
    *("<b>", "&lt;", "a|b", "a\\|b", "#1"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_table_is_shown_as_it_is(name):
    page = f"| name | other |\n|---|---|\n| {escape(name)} | b |\n"
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(page)
    cells = [token.children for token in tokens if token.type == "inline"]
    assert ["".join(part.content for part in cell) for cell in cells] == ["name", "other", name, "b"]
    assert {part.type for cell in cells for part in cell} <= {"text", "text_special"}


def test_a_name_is_one_line():
    assert escape("a\nb  c\x07") == "a b c\\\\x07"


def test_an_underscore_within_a_word_stays():
    assert escape("DEO_A of a_b_") == "DEO_A of a_b\\_"
