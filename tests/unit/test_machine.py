"""How much memory a machine, a container or a job on a cluster has."""

import os

import pytest

from fairdistill.runtime.machine import memory_mb

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
MB = 2**20


@pytest.mark.parametrize(
    ("groups", "limits", "found"),
    [
        # version 2, in a container that sees its own group as the root
        ("0::/\n", {"memory.max": 300 * MB}, 300),
        # of a job on a cluster, whose steps have none of their own
        ("0::/slurm/job_7/step_0\n", {"slurm/job_7/memory.max": 200 * MB, "slurm/job_7/step_0/memory.max": "max"}, 200),
        # version 1, beside another controller
        ("9:cpu:/a\n4:memory:/a\n", {"memory/a/memory.limit_in_bytes": 100 * MB, "cpu/a/memory.max": 1}, 100),
        # a container of version 1 sees its own group as the root, but under the name that it has outside
        ("4:memory:/docker/0f\n", {"memory/memory.limit_in_bytes": 100 * MB}, 100),
        # no limit, in both versions
        ("0::/\n4:memory:/\n", {"memory.max": "max", "memory/memory.limit_in_bytes": 2**63 - 4096}, PHYSICAL),
    ],
)
def test_the_narrowest_limit_holds(tmp_path, groups, limits, found):
    files = {"proc/self/cgroup": groups} | {f"sys/fs/cgroup/{name}": f"{limit}\n" for name, limit in limits.items()}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert memory_mb(tmp_path) == found


def test_without_control_groups_it_is_what_is_built_in(tmp_path):
    assert memory_mb(tmp_path) == PHYSICAL
