"""How `pytest -n 2` shares the tests out."""

from pathlib import Path

import pytest

# modules whose fixtures take seconds or more: each goes to one process, and those of the same study to the same
TOGETHER = {
    **{
        f"test_{name}": name
        for name in (
            "ablations",
            "methods_at",
            "methods_fitnets",
            "methods_kd",
            "methods_nst",
            "methods_pkt",
            "plotting",
            "ranking",
        )
    },
    "test_slurm": "slurm",
    "test_conda": "conda",
    "test_export": "export",
    "test_export_card": "export",
    "test_export_predict": "export",
    "test_figures": "study",
    "test_walkthrough": "walkthrough",
    "test_reruns": "study",
    "test_terminal_output": "study",
    "test_verify": "study",
}


# --dist loadgroup would do, but is without effect from pytest 9.2 on (pytest-xdist's issue 1386)
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return TOGETHER.get(Path(nodeid.split("::")[0]).stem, nodeid)

    return Scheduling(config, log)
