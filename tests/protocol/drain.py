"""What the system does when it is left in peace: it ends every job."""

from tests.protocol.clock import an_hour_passes
from tests.protocol.oracle import Oracle
from tests.protocol.parts import Actor, Message, Relay, claim, find_lost
from tests.protocol.stage import Stage
from tests.support.engine.by_hand import ByHand

ROUNDS = 2
"""One for what was lost or orphaned, one for retries that its rescue put off."""
ALL = 1000


def drain(stage: Stage, oracle: Oracle) -> None:
    """Everybody has died and the broker was wiped; now one relay and one actor do their work."""
    stage.roll_back()
    oracle.alive.clear()
    relay, actor = Relay(stage.relays[0]), Actor(stage.actors[0])
    for _ in range(ROUNDS):
        an_hour_passes(stage.anyone, beating=set())
        for job in stage.anyone.rescue():
            oracle.rescued(job["id"])
        find_lost(stage.anyone, depth=0)
        relay.lock(ALL)
        messages = relay.publish(ALL)
        relay.commit()
        for message in messages:
            _work(stage.anyone, actor, oracle, message)


def _work(hand: ByHand, actor: Actor, oracle: Oracle, message: Message) -> None:
    hold = claim(hand, message, "w1")
    if hold is None:
        return
    oracle.claimed(hold)
    actor.act(hold)
    oracle.answered(hold, taken=actor.complete())
    actor.commit()
