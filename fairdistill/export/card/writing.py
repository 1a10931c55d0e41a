"""Writing a card: its head and its sections in order, as Markdown and as an HTML page."""

import html

from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from fairdistill.export.card import provenance, results, use
from fairdistill.export.card.metadata import card_data
from fairdistill.export.card.model import MeasuredModel
from fairdistill.settings.data import DataSet
from fairdistill.settings.export import Export

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h2 {{ margin-top: 2.5rem; border-bottom: 1px solid #8888; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
th, td {{ border: 1px solid #8888; padding: 0.25rem 0.6rem; text-align: left; font-variant-numeric: tabular-nums; }}
code, pre {{ font-family: ui-monospace, monospace; background: #8882; border-radius: 3px; }}
pre {{ padding: 0.8rem; overflow-x: auto; }}
code {{ padding: 0 0.2rem; }}
blockquote {{ margin: 1rem 0; padding: 0.2rem 1rem; border-left: 0.3rem solid #c60; background: #c602; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def model_card(model: MeasuredModel, base: MeasuredModel | None, data: DataSet, settings: Export) -> str:
    """Return the content of README.md.

    Parameters
    ----------
    model
        The model of the card.
    base
        The model that it was trained from, or the teacher that it is compared with; None where there is neither.
    data
        The settings of the data set.
    settings
        What the configuration says under `export`.

    Raises
    ------
    ValueError
        huggingface_hub reads other metadata than were written.
    """
    sections = (
        results.summary(model, base),
        use.intended_use(model, settings),
        provenance.data_and_terms(model, data, settings),
        results.accuracy_and_fairness(model, base),
        results.int8_version(model),
        results.size_and_speed(model, base),
        use.limits(model),
        provenance.time_and_carbon(model, base, settings),
        provenance.how_to_reproduce(model, base),
    )
    body = "\n\n".join(paragraph for section in sections for paragraph in section)
    head = card_data(model, data, settings)
    text = f"---\n{head.to_yaml()}\n---\n\n{body}\n"
    # ModelCard.validate would ask Hugging Face's server; reading the head back needs no network
    if ModelCard(text).data.to_dict() != head.to_dict():
        raise ValueError("huggingface_hub reads the head of the card otherwise than it was written")
    return text


def html_page(card: str) -> str:
    """Return a card as one HTML page that needs no other file."""
    text = ModelCard(card).text.strip()
    title = text.partition("\n")[0].removeprefix("# ").replace("\\", "")
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return PAGE.format(title=html.escape(title), body=body.strip())
