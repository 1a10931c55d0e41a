"""The documentation site: `make site` builds it from the pages in docs/, config/ and the project's folder.

Sphinx reads the whole checkout, so that a link between two pages is the same relative path in a checkout, on a forge and
on the site.
"""

import re

from sphinx.application import Sphinx

project = "fairdistill"
author = "The fairdistill authors"
copyright = author
root_doc = "docs/index"
PUBLISHED = ("paper", "paper_h100", "utkface_folds", "utkface_folds_cpu", "sweeps_digits", "methods_digits", "bench")
include_patterns = ["docs/*.md", "config/README.md", "benchmarks/NOTES.md"]
include_patterns += ["CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md"]
include_patterns += [f"results/{study}/**.md" for study in PUBLISHED]
exclude_patterns = [".*", "build", "logs", "resources"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
# a folder is no page: a link to one shows its text alone
nitpick_ignore_regex = [("myst", r"[\w/.]*/\w+")]

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}


def prepare_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Show the title of a block of code above it, and let tables of results be reached by links alone."""
    source[0] = re.sub(
        r'^```(\w+) title="([^"]+)".*$', r"```{code-block} \1\n:caption: \2\n", source[0], flags=re.MULTILINE
    )
    if page.startswith("results/"):
        source[0] = f"---\norphan: true\n---\n\n{source[0]}"


def leave_out_fields(app: Sphinx, what: str, name: str, value: object, skip: bool, options: object) -> bool | None:
    """Leave the fields of a NamedTuple to the docstring of its class."""
    return True if type(value).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> None:
    """Register what this site adds to Sphinx."""
    app.connect("source-read", prepare_page)
    app.connect("autodoc-skip-member", leave_out_fields)
