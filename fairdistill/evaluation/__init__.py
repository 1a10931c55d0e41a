"""From predictions to accuracy and DEO, and the uncertainty of each.

`report(y_true, y_pred, groups)` does all of it for one's own predictions; see `fairdistill.evaluation.fairness_report`.
"""

__all__ = ["report"]


def __getattr__(name: str) -> object:
    # When it is first asked for: neither do scripts that need one module of this package load all others, nor does the
    # version of their code (`fairdistill.runtime.provenance`) change with the report.
    import importlib

    if name == "report":
        return importlib.import_module("fairdistill.evaluation.fairness_report").report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
