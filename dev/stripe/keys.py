"""Idempotency keys, as Stripe treats them: an answer is repeated, whatever it was."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from dev.stripe.answers import Answer, key_in_use, key_reused


@dataclass(slots=True)
class _Use:
    request: object
    answer: Answer | None = None


class Keys:
    """The keys that were used, with their answers. For any thread."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Forget all, as Stripe does after 24 hours."""
        with self._lock:
            self._uses.clear()

    def once(self, key: str | None, request: object, work: Callable[[], Answer]) -> Answer:
        """The answer to the key's first request. Raises Refusal while that still runs."""
        if key is None:
            return work()
        with self._lock:
            if use := self._uses.get(key):
                return _repeated(use, request)
            self._uses[key] = use = _Use(request)
        return self._done(key, use, work)

    def _done(self, key: str, use: _Use, work: Callable[[], Answer]) -> Answer:
        try:
            answer = work()
        except BaseException:
            self._drop(key)
            raise
        if answer.is_kept:
            use.answer = answer
        else:
            self._drop(key)
        return answer

    def _drop(self, key: str) -> None:
        with self._lock:
            self._uses.pop(key, None)


def _repeated(use: _Use, request: object) -> Answer:
    if use.request != request:
        raise key_reused()
    if use.answer is None:
        raise key_in_use()
    return replace(use.answer, headers=use.answer.headers | {"Idempotent-Replayed": "true"})
