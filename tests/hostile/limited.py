"""The deeds as `DULY_ACTORS` names them, for a process that may not take all memory."""

import resource

from tests.hostile.deeds import ACTORS

__all__ = ["ACTORS"]

LIMIT = 1_500 * 1024**2
resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
