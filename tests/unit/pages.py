"""Pages of the documentation that tests follow word for word."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Block(NamedTuple):
    """A fenced block of a page: its language, its title, the line that it goes above, and its text."""

    language: str
    title: str
    above: str
    text: str


def blocks(page):
    """All fenced blocks of the page at a path; each has a title, so that nothing on the page is left out."""
    text = page.read_text(encoding="utf-8")
    pattern = r'^```(\w+) title="([^"]+)"(?: above="([^"]+)")?\n(.*?)^```$'
    found = [Block(*match) for match in re.findall(pattern, text, re.DOTALL | re.MULTILINE)]
    assert len(found) == text.count("\n```") / 2
    return found


def write(folder, block):
    """Do to a file what a block says: insert it above a line, replace lines, or write the file."""
    path = folder / block.title
    if block.above:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        (place,) = [number for number, line in enumerate(lines) if line.startswith(block.above)]
        lines[place:place] = [*block.text.splitlines(keepends=True), "\n", "\n"]
        path.write_text("".join(lines), encoding="utf-8")
    elif block.language == "diff":
        # the lines around those that change are the file's, too
        old, new = ([line[1:] for line in block.text.splitlines() if line[0] in f" {sign}"] for sign in "-+")
        text = path.read_text(encoding="utf-8")
        assert text.count("\n".join(old)) == 1, "the page replaces lines that the file does not have, or has twice"
        path.write_text(text.replace("\n".join(old), "\n".join(new)), encoding="utf-8")
    else:
        assert not path.exists(), "the page's example is part of the project by now"
        path.write_text(block.text, encoding="utf-8")


def run(project, script, **options):
    """Run commands in a copy of the project, with its own code and this Python, and return what they print.

    `options` are those of `subprocess.run`.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "FAIRDISTILL"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project),
        "OMP_NUM_THREADS": "1",
    }
    words = ["bash", "-e", "-c", script]
    done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
