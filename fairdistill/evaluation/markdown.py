"""Texts of others, such as the names of classes, in Markdown: in reports and on models' cards alike."""

import re

from fairdistill.runtime.errors import printable

# an underscore between two letters or digits means nothing to Markdown
SPECIAL = re.compile(r"[\\`*{}\[\]<>#|!&~]|(?<![^\W_])_|_(?![^\W_])")


def escape(text: object) -> str:
    """Return a text in one line, so that Markdown shows it as it is, also in the cell of a table."""
    return SPECIAL.sub(r"\\\g<0>", printable(" ".join(str(text).split())))
