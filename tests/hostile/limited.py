"""The deeds as `DULY_ACTORS` names them, for a process that may not take all memory.

Limited is what it may write to, not its address space: of that the allocator reserves 64 MB for
each of its arenas, and how many there come to be is up to how the threads meet.
"""

import resource

from tests.hostile.deeds import ACTORS

__all__ = ["ACTORS"]

LIMIT = 1_500 * 1024**2
resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))
