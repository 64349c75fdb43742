from actors import ACTORS
from service.kinds import KINDS


def test_each_kind_has_exactly_one_actor() -> None:
    assert {name: actor.kind for name, actor in ACTORS.items()} == dict(KINDS)
