"""docs/when_something_goes_wrong.md: every line that it names is one that the project says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "when_something_goes_wrong.md").read_text(encoding="utf-8")
# what stands before any message, and is no part of it
PREFIX = re.compile(r"^(error|warning): ")
ROWS = re.findall(r"^\| `(.+?)`( \((?:Snakemake|the system)\))? \| .+ \|$", PAGE, flags=re.MULTILINE)
OURS = [line.replace(r"\|", "|") for line, others in ROWS if not others]


def texts_of(tree):
    """The strings of a program; of one with values in it, "…" is in their places."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def said():
    """All that the project can say."""
    programs = [path for folder in ("fairdistill", "scripts") for path in (ROOT / folder).rglob("*.py")]
    texts = [text for path in programs for text in texts_of(ast.parse(path.read_bytes()))]
    # strings that go on in the next line: Python's are one string, and between the words of a shell's echo is a blank
    for path in (ROOT / "workflow").rglob("*.smk"):
        texts.append(re.sub(r'"\n\s*f?"', "", path.read_text(encoding="utf-8")))
    for path in (ROOT / "Makefile", ROOT / "workflow" / "job.sh"):
        texts.append(re.sub(r'" \\\n\s*"', " ", path.read_text(encoding="utf-8")))
    return "\n".join(texts)


def test_there_are_twenty_lines_and_more():
    assert len(ROWS) >= 20


@pytest.mark.parametrize("line", OURS)
def test_a_line_of_the_page_is_said(said, line):
    parts = [part.strip(" :;,.|()") for part in PREFIX.sub("", line).split("…")]
    assert [part for part in parts if part not in said] == []
    # one of them is more than a word that is said anywhere
    assert max(map(len, parts)) > 12
