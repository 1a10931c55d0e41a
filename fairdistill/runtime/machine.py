"""What the machine has, or what a container or a job on a cluster may use of it."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MB = 2**20
# of the two versions of Linux' control groups: the folder of the groups, and the file with a group's limit in bytes
LIMITS = {"": ("sys/fs/cgroup", "memory.max"), "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes")}


def memory_mb(root: Path = Path("/")) -> int:
    """Return the main memory, in MB, that this process and those it starts may use together.

    Beyond the limit of its control group, as a container has one, Linux kills processes.
    """
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits(root)]) // MB


def _limits(root: Path) -> Iterator[int]:
    """Yield the limits, in bytes, of the control groups that this process is in; there are none but on Linux."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controller, name = line.split(":", 2)
        if controller in LIMITS:
            folder, file = LIMITS[controller]
            group = PurePosixPath(name)
            # the limits of all that a group is part of hold for it, and a container may see its own alone, as the root
            for place in (group, *group.parents):
                try:
                    limit = (root / folder / place.relative_to("/") / file).read_text().strip()
                except OSError:
                    continue
                if limit.isdecimal():
                    yield int(limit)
