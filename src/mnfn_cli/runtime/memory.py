"""Settings of the C library's allocator and of Python's garbage collector, for the two halves of a command's life."""

import ctypes
import gc
import os

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""The numbers of the settings in ``malloc.h`` of the GNU C library."""

MAPPED = 2**26
"""The bytes from which on a block is mapped by itself, and given back to the system when it is freed."""

KEPT = 2**31 - 1
"""The freed bytes at the end of the heap that are kept, the largest number that ``mallopt`` takes."""

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""The variable with which torch asks Linux for huge pages for blocks from 2 MB on. It is read before the first."""

STARTING = 50_000
"""How many new objects the collector waits for while a command starts."""

_WORKING = gc.get_threshold()


def collect_rarely() -> None:
    """Let the garbage collector wait while modules are imported: it looks at their objects, and all of them stay.

    That takes a tenth of the time of a short command.
    """
    gc.set_threshold(STARTING)


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for what it allocates next.

    A training step frees what it has allocated. By default blocks of more than some megabytes go back to the system,
    which maps and clears them again page by page in the next step; this took up to a third of a step's time. The
    process then holds up to the memory of its largest step until it ends. Pages are huge where Linux has such: finding
    the memory of small ones took up to an eighth of a step's time.

    Only the GNU C library can be told to keep memory; another one does as it does. The garbage collector works as usual
    from here on.
    """
    gc.set_threshold(*_WORKING)
    os.environ.setdefault(HUGE_PAGES, "1")
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for setting, value in ((_MMAP_THRESHOLD, MAPPED), (_TRIM_THRESHOLD, KEPT), (_TOP_PAD, MAPPED)):
        mallopt(setting, value)
