"""A pytest plugin that takes one guard out of the steps before any test sees them."""

import os

from hypothesis import Phase, settings

from outbox.store import transitions
from tests.protocol.guards import guards

_guard = next(guard for guard in guards() if str(guard) == os.environ["WITHOUT_GUARD"])
setattr(transitions, _guard.step, _guard.sql)

# That a test fails is enough: no time is spent on finding out how little it takes.
settings.register_profile("mutant", phases=[Phase.generate], database=None, derandomize=True)
settings.load_profile("mutant")
