"""What a relay does, side by side, and which of its duties wakes which."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from outbox.kinds import Kinds
from outbox.listeners import measures
from outbox.maintenance import upkeep
from outbox.maintenance.batch_folder import BatchFolder
from outbox.maintenance.dead_letter_collector import DeadLetterCollector
from outbox.maintenance.expirer import Expirer
from outbox.maintenance.pruning import message_pruner
from outbox.maintenance.pruning.letter_pruner import LetterPruner
from outbox.maintenance.pruning.pruner import Pruner
from outbox.maintenance.rescuer import Rescuer
from outbox.maintenance.sampling.sampled import Sampled
from outbox.maintenance.sampling.sampler import Sampler
from outbox.maintenance.scheduler import Scheduler
from outbox.maintenance.supervision import Duty
from outbox.relay.admission.admitter import Admitter
from outbox.relay.loop import Relay
from outbox.relay.outgoing.loop import OutgoingMessages
from outbox.schedules.schedule import Schedule
from outbox.submission.wake_up import KEYS, LIMITS, MEMBERS, QUEUES, listen


class Duties:
    """All duties of a relay. Each has connections of its own, so that none waits for another.

    Those of `settling` publish: they end once `stop` was called and what they have in flight is
    settled. The `others` run for ever, and may be cancelled at any moment. The arguments are those
    of `outbox.relay.process.run`.
    """

    def __init__(
        self,
        database_url: str,
        amqp_url: str,
        queues: Iterable[str],
        *,
        listen_url: str | None = None,
        window: int,
        kinds: Kinds,
        silence: timedelta,
        patience: timedelta,
        retention: timedelta | None = None,
        keep_closed: timedelta | None = None,
        keep_events: timedelta | None = None,
        keep_received: timedelta | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        self._outgoing = OutgoingMessages(database_url, amqp_url)
        self._relay = Relay(
            *(database_url, amqp_url, queues),
            window=window,
            patience=patience,
            on_sweep=self._outgoing.look,
        )
        self._admitter = Admitter(
            *(database_url, kinds, window),
            on_admission=self._relay.wake_up,
            depth_of=lambda queue: self._relay.depths.get(queue),
        )
        collector = DeadLetterCollector(database_url, amqp_url, self._relay.queues)
        rescuer = Rescuer(database_url, silence, on_rescue=self.wake_up)
        folder = BatchFolder(database_url, on_callbacks=self.wake_up)
        notified = {
            MEMBERS: folder.wake_up,
            KEYS: self._admitter.wake_up,
            QUEUES: self._look_at_queues,
            LIMITS: self._admitter.limits_changed,
        }
        self.settling: dict[str, Duty] = {"relay": self._relay.run, "messages": self._outgoing.run}
        self.others: dict[str, Duty] = {
            "collector": collector.run,
            "rescuer": rescuer.run,
            "expirer": Expirer(database_url).run,
            "message pruner": lambda: message_pruner.run(database_url, keep_events, keep_received),
            "upkeep": lambda: upkeep.run(database_url),
            "scheduler": Scheduler(database_url, schedules, on_tick=self.wake_up).run,
            "batches": folder.run,
            "admitter": self._admitter.run,
            "listener": lambda: listen(listen_url or database_url, self._publish_soon, notified),
        }
        if measures.is_wanted(Sampled):
            self.others["sampler"] = Sampler(database_url, kinds, silence).run
        if retention is not None:
            self.others["pruner"] = Pruner(database_url, retention).run
        if keep_closed is not None:
            self.others["letter pruner"] = LetterPruner(database_url, keep_closed).run

    def wake_up(self) -> None:
        """Jobs were queued, with keys or without."""
        self._publish_soon()
        self._admitter.wake_up()

    def stop(self) -> None:
        """Have those that publish settle what is in flight, and end."""
        self._relay.stop()
        self._outgoing.stop()

    def _publish_soon(self) -> None:
        self._relay.wake_up()
        self._outgoing.wake_up()

    def _look_at_queues(self) -> None:
        self._relay.look_at_queues()
        self._admitter.wake_up()
