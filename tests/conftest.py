"""Where the tests' files are, and how `pytest -n 2` shares the tests out."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from fairdistill.runtime.machine import memory_mb

# no test is to fail because the machine has other work
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

MEMORY = Path("/dev/shm")
ROOM = 4096  # MB there, and three times as many in the whole memory

# modules whose fixtures take seconds or more: each goes to one process, and those of the same study to the same
TOGETHER = {
    **{
        f"test_{name}": name
        for name in (
            "ablations",
            "data_real",
            "first_student",
            "methods_at",
            "methods_fitnets",
            "methods_kd",
            "methods_nst",
            "methods_pkt",
            "page",
            "page_in_browser",
            "plotting",
            "ranking",
            "resume",
            "site",
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


def pytest_configure():
    """Keep files in memory where it has room: the code under test waits for the disk after each of many small ones."""
    if _is_roomy():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _is_roomy():
    if not os.access(MEMORY, os.W_OK) or memory_mb() < 3 * ROOM:
        return False
    found = os.statvfs(MEMORY)
    # tests make programs, too
    return found.f_bavail * found.f_frsize >= ROOM * 2**20 and not found.f_flag & os.ST_NOEXEC


# --dist loadgroup would do, but is without effect from pytest 9.2 on (pytest-xdist's issue 1386)
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return TOGETHER.get(Path(nodeid.split("::")[0]).stem, nodeid)

    return Scheduling(config, log)
