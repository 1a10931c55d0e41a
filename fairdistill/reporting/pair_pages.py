"""Students beside their bases, as a page."""

import pandas as pd

from fairdistill.reporting.columns import MODEL
from fairdistill.reporting.labels import printed
from fairdistill.reporting.notes import (
    CORRECTED_DIFFERENCE_NOTE,
    INTERVAL_NOTE,
    NOTE,
    alone,
    marked,
    notes_on,
    with_group_marks,
)
from fairdistill.reporting.printing import markdown, numbers, ranges


def paired_markdown(paired: pd.DataFrame) -> str:
    """Return the gap of each student to its base as Markdown, see `fairdistill.reporting.pairs.pair_with_bases`."""
    table = paired[MODEL].map(printed)
    table["method"] = with_group_marks(table["method"], paired)
    other = paired["base_architecture"].where(paired["base_architecture"] != paired["architecture"], "")
    bases = with_group_marks(paired["base_method"], paired)
    table["base"] = [
        f"{printed(architecture)} {method}".strip() for architecture, method in zip(other, bases, strict=True)
    ]
    table["metric"] = paired["metric"].map(printed)
    for name in ("base", "student"):
        table[f"{name}'s"] = numbers(paired[name], "{:.3f}")
    table["difference"] = marked(numbers(paired["difference"], "{:+.3f}"), paired)
    table["95 %"] = alone(ranges(paired["low"], paired["high"]), paired["trainings"])
    table["n"] = paired["n"]
    table["sd"] = numbers(paired["sd"], "{:.3f}")
    table["p"] = numbers(paired["p"], "{:.3f}")
    table["p, Holm"] = numbers(paired["p_holm"], "{:.3f}")
    text = (
        "All values are fractions. The difference is student minus base, over the n seeds that both have. The base is "
        f"the model that the student was distilled from, or else the teacher of its architecture. {INTERVAL_NOTE} "
        f"{CORRECTED_DIFFERENCE_NOTE} Each interval is from its pair alone, and is not corrected for the number of "
        "rows. p is that of the exact sign-flip test over seeds, which cannot be below 2 / 2^n; `p, Holm` is "
        f"corrected by Holm's method over the {len(paired)} rows. {NOTE}"
    )
    notes = notes_on(paired)
    return "\n\n".join(["# Students and their bases", markdown(table), text, *notes]) + "\n"
