"""The documentation site: `make site` builds it from the pages in docs/, config/ and the project's folder.

Sphinx reads the whole checkout, so that a link between two pages is the same relative path in a checkout, on a forge and
on the site.
"""

import os
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "fairdistill"
author = "The fairdistill authors"
copyright = author
root_doc = "docs/index"
include_patterns = ["docs/*.md", "config/README.md", "benchmarks/NOTES.md", "*.md"]
# the front page of the site is docs/index.md
exclude_patterns = ["README.md", ".*", "build", "results", "resources", "logs"]

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

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
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


def show_titles(app: Sphinx, page: str, source: list[str]) -> None:
    """Show the title of a block of code above it."""
    source[0] = re.sub(
        r'^```(\w+) title="([^"]+)".*$', r"```{code-block} \1\n:caption: \2\n", source[0], flags=re.MULTILINE
    )


def setup(app: Sphinx) -> None:
    """Register what this site adds to Sphinx."""
    app.connect("source-read", show_titles)
