"""One tiny study that the tests share."""

from pathlib import Path

import pytest
from running import TINY, copy_configuration, copy_project, snakemake


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.workflow)
            if "study" in item.fixturenames:
                item.add_marker(pytest.mark.long)


@pytest.fixture
def workdir(tmp_path):
    """A working directory with a configuration and no results."""
    return copy_configuration(tmp_path)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """The project as it is now: whoever edits it meanwhile does not change what the tests see."""
    return copy_project(tmp_path_factory.mktemp("checkout") / "project")


@pytest.fixture(scope="session")
def study(checkout, tmp_path_factory):
    """The working directory of a tiny study that was run whole from `checkout`; what it printed is in terminal.txt."""
    directory = copy_configuration(tmp_path_factory.mktemp("study"))
    done = snakemake("--cores", 2, "--configfile", TINY, project=checkout, directory=directory)
    assert done.returncode == 0, done.stdout
    (directory / "terminal.txt").write_text(done.stdout, encoding="utf-8")
    return directory


@pytest.fixture
def project(checkout, tmp_path):
    """Another checkout, whose code a test may edit."""
    return copy_project(tmp_path / "project", origin=checkout)
