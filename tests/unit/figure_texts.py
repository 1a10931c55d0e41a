"""Whether the texts of a figure are on it."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


def cut_texts(figure: Figure) -> list[str]:
    """Return the visible texts of a figure that are not wholly on it."""
    FigureCanvasAgg(figure).draw()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = {text: text.get_window_extent() for text in texts}
    return [
        text.get_text()
        for text, box in boxes.items()
        if box.x0 < figure.bbox.x0 or box.y0 < figure.bbox.y0 or box.x1 > figure.bbox.x1 or box.y1 > figure.bbox.y1
    ]
