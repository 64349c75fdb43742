"""Which keys of a queue are served next."""

from collections.abc import Mapping


class FairShares:
    """Gives each first key its share of a queue: one job in turn."""

    def share(self, due: Mapping[tuple[str, ...], int], room: int) -> dict[tuple[str, ...], int]:
        """How many jobs of each tuple of keys are admitted, `room` at most.

        `due` says how many of each could be.
        """
        given = dict.fromkeys(due, 0)
        while room > 0:
            hungry = [keys for keys, most in due.items() if given[keys] < most][:room]
            if not hungry:
                break
            for keys in hungry:
                given[keys] += 1
            room -= len(hungry)
        return {keys: count for keys, count in given.items() if count}

    def learn(self, key: str, kind: str, seconds: float) -> None:
        """A job of this first key and kind has run for so long."""
