"""The documentation site: `make site` builds it from the pages in docs/, config/ and the project's folder.

Sphinx reads the whole checkout, so that a link between two pages is the same relative path in a checkout, on a forge
and on the site.
"""

import re
from pathlib import Path
from typing import Any

from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

ROOT = Path(__file__).parents[1]
COLON = "\N{RATIO}"

project = "fairdistill"
author = "The fairdistill authors"
copyright = author
root_doc = "docs/index"
PUBLISHED = ("paper", "paper_h100", "utkface_folds", "utkface_folds_cpu", "sweeps_digits")
PUBLISHED += ("methods", "methods_utkface", "methods_digits", "bench")
include_patterns = ["docs/*.md", "config/README.md", "benchmarks/NOTES.md"]
include_patterns += ["CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md"]
include_patterns += [f"results/{study}/**.md" for study in PUBLISHED]
exclude_patterns = [".*", "build", "logs", "resources", "results/*/data", "results/*/export", "results/*/models"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "none"
add_module_names = False
# what docstrings put between single backticks
default_role = "code"
napoleon_google_docstring = False
# one entry may have several names, as in "low, high"
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = project
# the address of the site itself leads to its first page
html_extra_path = ["front"]
html_show_sourcelink = False
html_show_copyright = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
}


def prepare_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Adapt the text of a page, which is written for a checkout and for a forge, to the site.

    The title of a block of code stands above it, a link that has the name of a page as its text gets the title of that
    page or heading, and tables of results are reached by links alone.
    """
    source[0] = re.sub(
        r'^```(\w+) title="([^"]+)".*$', r"```{code-block} \1\n:caption: \2\n", source[0], flags=re.MULTILINE
    )
    source[0] = re.sub(r"\[[\w/]+\.md\](?=\([\w./]+\.md[#)])", "[]", source[0])
    if page.startswith("results/"):
        source[0] = f"---\norphan: true\n---\n\n{source[0]}"


def leave_out_fields(app: Sphinx, what: str, name: str, value: object, skip: bool, options: object) -> bool | None:
    """Leave the fields of a NamedTuple to the docstring of its class."""
    return True if type(value).__name__ == "_tuplegetter" else None


def hide_colon(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Hide a colon in the first line of a property from napoleon, which would take what is before it for a type."""
    if what == "property":
        lines[0] = lines[0].replace(":", COLON)


def finish_docstring(app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]) -> None:
    """Take bars in a docstring, as of an absolute value, for themselves, and show hidden colons."""
    lines[:] = [line.replace("|", r"\|").replace(COLON, ":") for line in lines]


class Folders(SphinxPostTransform):
    """Show a link to a folder, which the site has no page of, as its text."""

    default_priority = 5  # before MyST resolves its links

    def run(self, **options: Any) -> None:
        """Replace each such link of a page."""
        here = (ROOT / self.env.docname).parent
        for link in list(self.document.findall(addnodes.pending_xref)):
            if link["reftype"] == "myst" and (here / link["reftarget"]).is_dir():
                link.replace_self(link.children)


def setup(app: Sphinx) -> None:
    """Register what this site adds to Sphinx."""
    app.connect("source-read", prepare_page)
    app.connect("autodoc-skip-member", leave_out_fields)
    app.connect("autodoc-process-docstring", hide_colon, priority=100)  # napoleon has 500
    app.connect("autodoc-process-docstring", finish_docstring, priority=1000)
    app.add_post_transform(Folders)
