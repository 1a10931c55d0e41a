"""The commands in the documentation: each is run by a test, planned by one, or said above it not to be.

Pages in `FOLLOWED` are followed word for word by the test beside them. In all others a comment stands above each block
of commands.
"""

import re
import shlex
from pathlib import Path

import pytest
from running import ROOT, planned

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "config" / "README.md"])
FOLLOWED = {
    "docs/adding_a_method.md": "tests/unit/test_adding_a_method.py",
    "docs/fairness_report.md": "tests/unit/test_fairness_report.py",
    "docs/first_student.md": "tests/workflow/test_first_student.py",
    "docs/walkthrough.md": "tests/workflow/test_walkthrough.py",
}
PLANNED = "<!-- planned by a test -->"
NOT_RUN = re.compile(r"<!-- not run by a test: \S.* -->")
BLOCK = re.compile(r"^([^\n]*)\n```(?:bash|console|sh|shell)\b[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def commands(text):
    """The commands of a block as lists of words; one may go on over several lines."""
    pending = ""
    for line in text.replace("\\\n", " ").splitlines():
        pending += line + "\n"
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:  # a quotation goes on in the next line
            continue
        pending = ""
        if words:
            yield words
    assert not pending, f"this never ends: {pending}"


BLOCKS = [(str(page.relative_to(ROOT)), *match) for page in PAGES for match in BLOCK.findall(page.read_text("utf-8"))]
TO_PLAN = [(page, words) for page, above, text in BLOCKS if above == PLANNED for words in commands(text)]


def test_every_block_of_commands_is_run_or_says_that_it_is_not():
    unsaid = [
        (page, text)
        for page, above, text in BLOCKS
        if page not in FOLLOWED and above != PLANNED and not NOT_RUN.fullmatch(above)
    ]
    assert unsaid == []
    assert {page for page, _, _ in BLOCKS} >= {*FOLLOWED, "docs/conda.md", "docs/slurm.md", "config/README.md"}


@pytest.mark.parametrize(("page", "test"), FOLLOWED.items())
def test_a_page_is_followed_by_its_test(page, test):
    text = (ROOT / test).read_text(encoding="utf-8")
    assert f'"docs" / "{Path(page).name}"' in text
    assert re.search(r"blocks(\(PAGE\)| = .*```bash)", text)


@pytest.mark.parametrize(("page", "words"), TO_PLAN, ids=[f"{page}: {' '.join(words)[:60]}" for page, words in TO_PLAN])
def test_a_command_is_planned(page, words, workdir):
    program, *given = words
    assert program == "snakemake"
    # conda's environments are made where a job runs, and a plan runs none
    assert planned(*(word for word in given if word != "--use-conda"), directory=workdir)


def test_targets_of_make_and_scripts_that_pages_name_are_there():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    texts = [page.read_text(encoding="utf-8") for page in PAGES if page.name != "CHANGELOG.md"]
    named = {name for text in texts for name in re.findall(r"`make ([a-z]+)", text)}
    assert named <= targets
    assert named >= {"demo", "paper", "site", "test"}
    modules = {name for text in texts for name in re.findall(r"python -m ((?:scripts|benchmarks)\.\w+)", text)}
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []
    assert modules
