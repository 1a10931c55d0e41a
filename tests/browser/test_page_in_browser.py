"""A real browser opens the page of a study: it shows everything, loads nothing and fits a phone and a desk."""

import shutil

import pytest
from studies_with_pages import SEEDS, make_studys_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium: tests/browser/install.sh installs it"),
    # Playwright's event loop holds on to a pipe until it is collected
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
CHARTS = ("tradeoff", "cells", "criteria", "features-one", "features-other")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return make_studys_page(tmp_path_factory.mktemp("page")).as_uri()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # root has no sandbox
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, address):
    """Returns a function that opens the page, and has it checked at the end that all went well."""
    pages, seen = [], {"errors": [], "requests": []}

    def open_page(width=1400, **options):
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        pages.append(page)
        page.on("console", lambda message: seen["errors"].append(message.text))
        page.on("pageerror", lambda error: seen["errors"].append(str(error)))
        page.on("request", lambda request: seen["requests"].append(request.url))
        page.goto(address)
        for chart in CHARTS:
            page.wait_for_selector(
                f"#{chart} svg.marks .mark-symbol path, #{chart} svg.marks .mark-rect path", state="attached"
            )
        return page

    yield open_page
    for page in pages:
        page.close()
    assert seen["errors"] == []
    assert [url for url in seen["requests"] if not url.startswith("data:")] == [address] * len(pages)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_everything_is_drawn_and_nothing_is_wider_than_the_page(opened, width, scheme):
    page = opened(width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for chart in CHARTS:
        box = page.locator(f"#{chart} svg.marks").bounding_box()
        assert box["width"] > 250
        assert box["x"] + box["width"] <= width
    ink = page.evaluate("getComputedStyle(document.querySelector('#tradeoff .role-axis-label text')).fill")
    assert (ink == page.evaluate("getComputedStyle(document.body).color")) is True
    assert page.evaluate("document.querySelector('figure img').naturalWidth") > 0


def points(page, chart="tradeoff"):
    """Where the points of a chart are."""
    found = page.locator(f"#{chart} svg.marks .mark-symbol.role-mark path")
    return [found.nth(i).get_attribute("transform") for i in range(found.count())]


def descriptions(page):
    """What a screen reader says of the points of the chart of all models."""
    found = page.locator("#tradeoff svg.marks .mark-symbol.role-mark path")
    return [found.nth(i).get_attribute("aria-label") for i in range(found.count())]


def choose(page, chart, name, option):
    label = page.locator(f"#{chart}-choices label").filter(has=page.get_by_text(name, exact=True))
    label.locator("select").select_option(option, timeout=5000)
    page.wait_for_timeout(200)


def test_the_choices_filter_the_points(opened):
    page = opened()
    # two architectures, a teacher and two students
    assert len(points(page)) == 6
    before = points(page)
    choose(page, "tradeoff", "Measure", "DEO_M")
    assert points(page) != before
    choose(page, "tradeoff", "Architecture", "ShuffleNet")
    assert len(points(page)) == 3
    choose(page, "tradeoff", "Method", "mfd")
    # the teacher stays beside it
    assert len(points(page)) == 2
    choose(page, "tradeoff", "Points", "all seeds")
    assert len(points(page)) == 2 * len(SEEDS)
    choose(page, "tradeoff", "Points", "seed 1")
    assert len(points(page)) == 2
    assert all("Data set: CIFAR-10S" in name for name in descriptions(page))
    choose(page, "tradeoff", "Data set", "UTKFace")
    assert len(points(page)) == 2
    assert all("Data set: UTKFace" in name and "seed 1" in name for name in descriptions(page))


def test_the_heat_map_shows_the_model_that_is_chosen(opened):
    page = opened()
    texts = "#cells svg.marks .role-mark text"
    assert page.locator(texts).count() == 2 * 2 * 3
    choose(page, "cells", "Model", "UTKFace, ResNet: teacher")
    # a teacher stands on nothing
    assert page.locator(texts).count() == 2 * 3
    # the numbers are in the table below it as well
    page.locator("#cells-section summary").filter(has_text="table").click()
    rows = [row.split("\t") for row in page.locator("#cells-table tbody tr").all_inner_texts()]
    assert {row[0] for row in rows} == {"UTKFace, ResNet: teacher"}
    assert [f"{100 * float(row[3]):.0f}" for row in rows] == page.locator(texts).all_text_contents()


def test_criteria_and_features_can_be_chosen(opened):
    page = opened()
    before = points(page, "criteria")
    choose(page, "criteria", "Criterion", "Brier score")
    assert points(page, "criteria") != before
    rows = page.locator("#criteria-table tbody tr")
    # a row for each point: three models, all images and two groups
    assert rows.count() == 3 * 3 == len(points(page, "criteria"))
    before = points(page, "features-one")
    assert len(before) == 20
    choose(page, "features-one", "Class", "old")
    assert points(page, "features-one") != before


def column(page, heading):
    """The texts of a column of the table of trainings, of the rows that are shown."""
    number = page.locator("#runs th").all_inner_texts().index(heading) + 1
    return page.locator(f"#runs tbody tr:not([hidden]) td:nth-child({number})").all_inner_texts()


def test_the_table_sorts_by_numbers_and_names_with_the_keyboard_too(opened):
    page = opened()
    heading = page.locator("#runs th", has_text="DEO_A")
    heading.locator("button").click()
    values = list(map(float, column(page, "DEO_A")))
    assert values == sorted(values)
    assert len(set(values)) > 2
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").press("Enter")
    assert list(map(float, column(page, "DEO_A"))) == values[::-1]
    page.locator("#runs th button", has_text="Method").click()
    names = column(page, "Method")
    assert names == sorted(names)
    assert heading.get_attribute("aria-sort") is None


def test_the_table_shows_rows_with_all_words(opened):
    page = opened()
    everything = len(column(page, "Method"))
    page.locator("#filter").fill("MFD utkface")
    assert set(column(page, "Method")) == {"mfd"}
    assert set(column(page, "Data set")) == {"UTKFace"}
    assert 0 < len(column(page, "Method")) < everything
    page.locator("#filter").fill("")
    assert len(column(page, "Method")) == everything


def test_in_print_choices_are_gone_and_tables_are_whole(opened):
    page = opened()
    menu = page.locator("#tradeoff details")
    assert menu.locator("summary").get_attribute("aria-label") == "Save the chart as an image"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#results details").last.get_attribute("open") is not None
    assert menu.get_attribute("open") is None
    page.emulate_media(media="print")
    assert not menu.is_visible()
    assert not page.locator("nav").is_visible()
    assert not page.locator("#tradeoff-choices").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.tall')).maxHeight") == "none"


def test_a_page_without_scripts_still_has_its_tables(opened, browser, address):
    page = browser.new_page(java_script_enabled=False)
    page.goto(address)
    assert page.locator("#results table").first.is_visible()
    assert page.locator("noscript").inner_text().startswith("The charts")
    page.close()
