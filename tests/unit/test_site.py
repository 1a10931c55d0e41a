"""The site of the documentation: it is built without a warning, its search finds words, and its pages hold together."""

import doctest
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SECTIONS = ("tutorials", "how_to", "reference", "explanation")
PAGES = sorted(path for path in DOCS.glob("*.md") if path.stem not in ("index", *SECTIONS))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-c", "docs", "-d", folder / "doctrees"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, ".", folder / "html"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def test_make_site_builds_what_the_test_builds():
    recipe = re.search(r"^site:.*\n\t(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert recipe[1] == "$(BIN)/python -m sphinx -E -W --keep-going -q -b html -c docs . build/site"


def test_the_search_finds_a_word_on_its_page(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    found = index["terms"]["sacct"]
    numbers = found if isinstance(found, list) else [found]
    assert "docs/slurm" in [index["docnames"][number] for number in numbers]
    assert (site / "search.html").exists()


def test_every_page_and_the_front_are_there(site):
    names = {path.stem for path in (site / "docs").glob("*.html")}
    assert {page.stem for page in PAGES} | {"index", *SECTIONS} <= names
    assert 'url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_no_link_within_the_site_leads_nowhere(site):
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html") if "_modules" not in path.parts}
    broken = []
    for path, text in pages.items():
        for link in re.findall(r'<a [^>]*href="([^"]*)"', text):
            place, _, anchor = link.partition("#")
            if re.match(r"\w+:", link):
                continue
            target = (path.parent / place).resolve() if place else path
            if not target.exists() or (anchor and target in pages and f'id="{anchor}"' not in pages[target]):
                broken.append((str(path.relative_to(site)), link))
    assert broken == []


def test_the_api_has_the_parameters_of_a_docstring(site):
    text = re.sub(r"<[^>]+>", "", (site / "docs" / "api.html").read_text(encoding="utf-8"))
    assert "mfd_loss(" in text
    assert "integer arrays, shape (n,)" in text
    # several attributes of one description, and a property whose first line has a colon
    assert re.search(r"low, high \W The ends of its 95 % interval\.", text)
    assert "The gap of each class: value, low, corrected and high." in text


def test_each_page_is_in_one_section():
    listed = []
    for section in SECTIONS:
        for names in re.findall(r"^```{toctree}\n(.*?)^```$", (DOCS / f"{section}.md").read_text("utf-8"), re.S | re.M):
            listed += [name for name in names.split() if name[0].isalpha()]
    assert sorted(listed) == [page.stem for page in PAGES]


def test_the_readme_leads_to_each_page_and_is_short():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"](docs/{page.name})" not in readme] == []
    assert len(readme.splitlines()) < 120


@pytest.mark.parametrize("name", ["deo.md", "fair_baseline.md"])
def test_the_examples_of_a_page_hold(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    (example,) = re.findall(r"^```pycon\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    failed, tried = doctest.DocTestRunner().run(doctest.DocTestParser().get_doctest(example, {}, name, name, 0))
    assert failed == 0 < tried


def test_the_gaps_by_hand_are_those_of_the_table():
    rows = re.findall(r"^\| (indoors|outdoors) \| (\d) \| (\d) \| (\d) \|$", (DOCS / "deo.md").read_text("utf-8"), re.M)
    assert [row[1:] for row in rows] == [("9", "8", "7"), ("6", "7", "7")]


def test_the_picture_of_mfd_shows_the_groups_on_the_teachers_average(tmp_path):
    script = f"""
import runpy
module = runpy.run_path({str(DOCS / "pictures" / "mfd.py")!r})
teacher, before, group = module["features"]()
after = module["distil"](teacher, before, group)
def apart(points):
    return (points[group == 0].mean(0) - points[group == 1].mean(0)).norm().item()
assert apart(teacher) > 2 and apart(before) > 2
assert apart(after) < 0.1
assert (after.mean(0) - teacher.mean(0)).norm() < 0.1
# spread as the teacher's features are, and not a point
assert abs(after[:, 0].std() / teacher[:, 0].std() - 1) < 0.2
module["draw"](module["Path"]("{tmp_path}/mfd.svg"))
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    titles = [
        re.findall(r"<text[^>]*>([^<]+)</text>", path.read_text(encoding="utf-8"))
        for path in (tmp_path / "mfd.svg", DOCS / "pictures" / "mfd.svg")
    ]
    assert titles[0] == titles[1]
    assert "The teacher" in titles[0]
