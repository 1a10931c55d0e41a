"""Whether the texts of a figure are on it."""

from unittest.mock import patch

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def cut_texts(figure: Figure) -> list[str]:
    """Return the texts of a figure that are drawn, and not wholly on it."""
    # a figure also holds labels of ticks beyond its axes, which are never drawn
    drawn, draw = [], Text.draw

    def note(text, renderer):
        drawn.append(text)
        draw(text, renderer)

    with patch.object(Text, "draw", note):
        FigureCanvasAgg(figure).draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in drawn if text.get_visible()]
    return [
        text
        for text, box in boxes
        if text.strip()
        if box.x0 < figure.bbox.x0 or box.y0 < figure.bbox.y0 or box.x1 > figure.bbox.x1 or box.y1 > figure.bbox.y1
    ]
