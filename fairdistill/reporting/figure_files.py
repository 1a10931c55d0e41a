"""Writing figures to files."""

from pathlib import Path

from matplotlib.figure import Figure

from fairdistill.reporting.style import styled
from fairdistill.runtime.files import replacing

# Dots per inch of a PNG.
DPI = 300


def save(figure: Figure, *, pdf: Path | str, png: Path | str) -> None:
    """Write a figure as PDF, whose text can be searched, and as PNG; the same figure gives the same bytes."""
    # text is laid out only now
    with styled({"pdf.fonttype": 42}):
        for path, form, metadata in [(pdf, "pdf", {"CreationDate": None}), (png, "png", {"Software": None})]:
            with replacing(path) as partial:
                figure.savefig(partial, format=form, dpi=DPI, metadata=metadata)
