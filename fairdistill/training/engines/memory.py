"""How the C library's malloc treats what a training frees."""

import ctypes
import platform

# of <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next allocation; nothing happens with another C library.

    A step on a CPU takes and frees hundreds of megabytes. glibc gives much of it back to the kernel, which then clears
    each page anew: a tenth and more of the time.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
