"""Every named moment between two of a process's steps, in the order in which a job meets them.

A moment is before or after a function of the production code, which knows nothing of it. See
`tests.faults.launch`, which ends the process there.
"""

from dataclasses import dataclass
from typing import Literal

ATTEMPT = "outbox.worker.attempts.attempt:Attempt"


@dataclass(frozen=True, slots=True)
class Moment:
    """Where something ends a process, or in place of what something ends a thread."""

    name: str
    when: Literal["before", "after", "instead"]
    function: str
    """As `module:name` or `module:Class.name`."""


API = [
    Moment("row written but no job", "before", "service.invoices.routes:submit"),
    Moment(
        "job submitted but no answer kept",
        "before",
        "outbox.http.requests.transaction:store_answer",
    ),
    Moment("answer kept but not committed", "before", "outbox.http.requests.transaction:_commit"),
    Moment(
        "committed but no wake-up sent",
        "before",
        "outbox.submission.wake_up_sender:WakeUpSender.send",
    ),
    Moment("committed but not answered", "after", "outbox.http.requests.transaction:_commit"),
]

HOOKS = [
    Moment("event stored but no job", "before", "service.hooks.keeping:_submit"),
    Moment("job of an event submitted but not committed", "after", "service.hooks.keeping:_submit"),
    Moment("event committed but not answered", "after", "outbox.http.requests.transaction:_commit"),
]

PEOPLE = [
    Moment("act not committed", "before", "outbox.http.requests.transaction:_commit"),
    Moment("act committed but not answered", "after", "outbox.http.requests.transaction:_commit"),
]

COMMAND = [
    Moment("letters closed but not committed", "after", "outbox.operations.dead_letters:_close"),
    Moment("letters closed but nobody told", "before", "outbox.cli.dead_letters.bulk:_report"),
]

CANCELLING = [
    Moment("cancelled but not committed", "after", "outbox.operations.jobs:cancel_all"),
    Moment("cancelled but nobody told", "after", "outbox.cli.jobs.cancelling:_cancel_chunk"),
]

BATCH_COMMAND = [
    Moment("batch marked but not committed", "after", "outbox.operations.batches:cancel"),
    Moment("batch marked but nobody told", "before", "outbox.cli.commands.batches:print_message"),
]

RELAY = [
    Moment("nothing locked", "before", "outbox.relay.pipeline:lock"),
    Moment("locked but not published", "before", "outbox.amqp.publisher:Publisher.send"),
    Moment("published but not confirmed", "after", "outbox.amqp.publisher:Publisher._write"),
    Moment("confirm arrived but not read", "before", "outbox.amqp.publisher:_Stream._on_confirm"),
    Moment("confirmed but not deleted", "after", "outbox.amqp.publisher:Publisher.outcome"),
    Moment("batch committed", "after", "outbox.relay.pipeline:settle"),
]

SENDING = [
    Moment(
        "messages locked but not sent", "before", "outbox.relay.outgoing.exchanges:Exchanges.send"
    ),
    Moment("messages confirmed but not on record", "before", "outbox.relay.outgoing.store:settle"),
    Moment("sent messages on record", "after", "outbox.relay.outgoing.store:settle"),
]

RECEIVING = [
    Moment("foreign messages read but no job", "before", "outbox.worker.receiving.jobs:do"),
    Moment(
        "jobs of messages committed but not acknowledged",
        "after",
        "outbox.worker.receiving.jobs:do",
    ),
]

FOLDING = [
    Moment("members ended but not counted", "before", "outbox.maintenance.batch_folder:fold"),
    Moment("batch locked but not counted", "after", "outbox.maintenance.batch_folder:_lock"),
    Moment("batch counted but not committed", "after", "outbox.maintenance.batch_folder:_count"),
    Moment("count committed but nobody told", "after", "outbox.maintenance.batch_folder:fold"),
]

MEMBERS = [
    Moment(
        "batch cancelled but not its members",
        "before",
        "outbox.maintenance.batch_folder:BatchFolder._cancel",
    ),
    Moment(
        "members cancelled but not counted",
        "after",
        "outbox.maintenance.batch_folder:BatchFolder._cancel",
    ),
]

ADMITTING = [
    Moment("keys not looked at", "before", "outbox.relay.admission.round:look"),
    Moment(
        "keys locked but nothing admitted", "after", "outbox.relay.admission.round:_lock_and_count"
    ),
    Moment("admitted but nobody told", "after", "outbox.relay.admission.round:_write"),
]

REFUSED = [
    Moment("event refused but not put off", "before", "outbox.relay.pipeline:settle"),
    Moment("refused event put off", "after", "outbox.relay.pipeline:settle"),
]

UNPUBLISHABLE = [
    Moment("refused too often but not buried", "before", "outbox.relay.unpublishable:bury"),
    Moment("refused too often and buried", "after", "outbox.relay.unpublishable:bury"),
]

LOST = [
    Moment(
        "messages lost and not looked for", "before", "outbox.relay.loop:Relay._redispatch_lost"
    ),
    Moment("lost messages back in the outbox", "after", "outbox.relay.loop:Relay._redispatch_lost"),
]

WORKER = [
    Moment("delivered but not claimed", "before", "outbox.worker.claimer:Claimer._claim"),
    Moment(
        "claim handed in but not written",
        "before",
        "outbox.worker.records.group_commit:GroupCommit._commit",
    ),
    Moment(
        "claim committed but not answered",
        "after",
        "outbox.worker.records.group_commit:GroupCommit._commit",
    ),
    Moment(
        "claimed but not begun",
        "before",
        "outbox.worker.attempts.attempt_events:AttemptEvents.started",
    ),
    Moment("actor begun but no transaction", "before", "outbox.job:Job.transaction"),
    Moment("effect written but not succeeded", "before", "outbox.job:Job._succeed"),
    Moment("succeeded but not committed", "after", "outbox.job:Job._succeed"),
    Moment("done but not handed in", "after", f"{ATTEMPT}.succeeded"),
    Moment("on record but not settled", "before", "outbox.worker.in_flight:Outcomes._on_answer"),
    Moment("succeeded but not acknowledged", "before", "outbox.worker.broker:Received.settle"),
    Moment("acknowledgement handed in", "after", "outbox.worker.broker:Received.settle"),
    Moment("effect elsewhere but not recorded", "after", "tests.faults.actors:post"),
    Moment("failed but not recorded", "before", f"{ATTEMPT}._retry_or_die"),
    Moment(
        "retry committed but not acknowledged",
        "after",
        f"{ATTEMPT}._retry_or_die",
    ),
    Moment("snoozing but not recorded", "before", f"{ATTEMPT}._snooze"),
    Moment(
        "snooze committed but not acknowledged",
        "after",
        f"{ATTEMPT}._snooze",
    ),
    Moment("dying but not recorded", "before", f"{ATTEMPT}._die"),
    Moment("dead but not rejected", "before", "outbox.worker.broker:Received.reject"),
    Moment("rejection handed in", "after", "outbox.worker.broker:Received.reject"),
]

STEPPING = [
    Moment("rows written but no checkpoint", "before", "outbox.job:Job._write_checkpoint"),
    Moment("checkpoint not committed", "after", "outbox.job:Job._write_checkpoint"),
    Moment("step committed", "before", "outbox.job:Job._keep_checkpoint"),
    Moment("progress taken but not written", "after", "outbox.job.progress:Progress.take"),
]

CHARGING = [
    Moment("charge begun but no intent", "before", "actors.paying.intents:create"),
    Moment("intent made but not on record", "after", "actors.paying.intents:create"),
    Moment("intent on record but not confirmed", "before", "actors.paying.intents:confirm"),
    Moment("money moved but not on record", "after", "actors.paying.intents:confirm"),
    Moment("payment settled but not committed", "after", "service.charging.models:Payment.settle"),
    Moment("payment committed but its job not over", "after", "actors.charging:_settle"),
]

REFUNDING = [
    Moment("refund begun but not made", "before", "actors.paying.refunds:refund"),
    Moment("money given back but not on record", "after", "actors.paying.refunds:refund"),
    Moment("refund settled but not committed", "after", "service.charging.models:Refund.settle"),
    Moment("refund committed but its job not over", "after", "actors.charging:_settle_refund"),
]

DELIVERED = [
    Moment("webhook not sent", "before", "actors.delivering.attempt:post"),
    Moment("webhook answered but not on record", "after", "actors.delivering.attempt:post"),
    Moment("webhook on record but not committed", "after", "actors.delivering.record:delivered"),
]

UNDELIVERED = [
    Moment("failed webhook not committed", "after", "actors.delivering.record:failed"),
    Moment(
        "failed webhook on record but not its attempt",
        "before",
        f"{ATTEMPT}._retry_or_die",
    ),
]

MAILING = [
    Moment("mail ready but not handed over", "before", "actors.mail:transmit"),
    Moment("mail sent but not answered", "before", "actors.mailing.transmission:_final_reply"),
    Moment("mail answered but not on record", "after", "actors.mail:transmit"),
    Moment("mail on record but not committed", "after", "service.mail.emails:record"),
]

MAILING_ONCE = [
    Moment("mail not marked", "before", "actors.mail:_mark"),
    Moment("mail marked but not sent", "after", "actors.mail:_mark"),
]

MAIL_UNCERTAIN = [
    Moment("mail uncertain but not noted", "before", "actors.mail:_note"),
    Moment("mail noted as uncertain but not dead", "after", "actors.mail:_note"),
]

CANCELLED = [
    Moment("cancel heard of", "before", "outbox.job.cancellation:Cancellation.ask"),
    Moment("actor interrupted", "after", "outbox.job.cancellation:Cancellation.deliver"),
    Moment("interrupted but not recorded", "before", f"{ATTEMPT}._stop"),
    Moment("cancelled but not acknowledged", "after", f"{ATTEMPT}._stop"),
]

STOPPING = [
    Moment("told to stop", "before", "outbox.worker.worker:Worker.stop"),
    Moment(
        "consumers closed but jobs running", "after", "outbox.worker.worker:Worker._stop_taking"
    ),
    Moment(
        "handing back but not recorded",
        "before",
        f"{ATTEMPT}.hand_back",
    ),
    Moment("handed back but not gone", "after", f"{ATTEMPT}.hand_back"),
    Moment("done but not gone", "before", "outbox.worker.heartbeat:Heartbeat._leave"),
    Moment("gone but not ended", "after", "outbox.worker.heartbeat:Heartbeat._leave"),
]

UPLOADING_IMPORTS = [
    Moment("part stored but not noted", "after", "service.imports.receiving:_put"),
    Moment("part noted but not committed", "after", "service.imports.states:add_part"),
    Moment("file complete but not submitted", "before", "service.imports.states:run"),
]

IMPORTING = [
    Moment("file looked at but nothing noted", "after", "actors.importing.source:Source.found"),
    Moment("chunk stored but not committed", "after", "actors.imports:_store"),
    Moment("chunk committed but not the next", "after", "actors.imports:_keep_chunk"),
    Moment("all cut but not committed", "after", "actors.imports:_cut"),
    Moment("charges copied but not committed", "after", "actors.imports:copy"),
    Moment("bad rows joined but not committed", "after", "actors.imports:_join"),
    Moment("outcome known but not committed", "after", "actors.imports:_outcome"),
]

COLLECTOR = [
    Moment(
        "dead message arrived but not kept",
        "before",
        "outbox.maintenance.dead_letter_collector:keep",
    ),
    Moment(
        "dead message kept but not acknowledged",
        "after",
        "outbox.maintenance.dead_letter_collector:keep",
    ),
    Moment(
        "foreign message not kept",
        "before",
        "outbox.maintenance.dead_letter_collector:_keep_foreign",
    ),
    Moment(
        "foreign message kept but not acknowledged",
        "after",
        "outbox.maintenance.dead_letter_collector:_keep_foreign",
    ),
]

DROPPED = [
    Moment(
        "dropped message arrived but not redispatched",
        "before",
        "outbox.maintenance.dead_letter_collector:keep",
    ),
    Moment(
        "dropped message redispatched but still there",
        "after",
        "outbox.maintenance.dead_letter_collector:keep",
    ),
]

RESCUER = [
    Moment(
        "worker dead but no job rescued", "before", "outbox.maintenance.rescuer:Rescuer._rescue"
    ),
    Moment(
        "jobs rescued but relay not woken", "after", "outbox.maintenance.rescuer:Rescuer._rescue"
    ),
]

EXPIRER = [
    Moment("expired but not cancelled", "before", "outbox.maintenance.expirer:_take"),
    Moment("expired and cancelled", "after", "outbox.maintenance.expirer:_take"),
]
SCHEDULER = [
    Moment("schedules not declared", "before", "outbox.maintenance.scheduler:declare"),
    Moment("schedules declared", "after", "outbox.maintenance.scheduler:declare"),
    Moment("tick due but not made", "before", "outbox.maintenance.scheduler:Scheduler._make"),
    Moment(
        "tick made but nobody told", "before", "outbox.maintenance.scheduler:Scheduler._tell_of_job"
    ),
    Moment("tick made and relay woken", "after", "outbox.maintenance.scheduler:Scheduler._make"),
    Moment("ticks missed but not listed", "before", "outbox.maintenance.scheduler:Scheduler._skip"),
    Moment("missed ticks listed", "after", "outbox.maintenance.scheduler:Scheduler._skip"),
    Moment(
        "waiting tick not made", "before", "outbox.maintenance.scheduler:Scheduler._make_waiting"
    ),
    Moment("waiting tick made", "after", "outbox.maintenance.scheduler:Scheduler._make_waiting"),
]

UPLOADING = [
    Moment("upload reserved but nothing stored", "after", "service.files.upload:_reserve"),
    Moment("some bytes on their way", "after", "service.files.upload:_Body._part"),
    Moment("bytes stored but no file", "after", "service.files.upload:_receive"),
    Moment("file written but not committed", "after", "service.files.upload:Upload.keep"),
]

SWEEPING = [
    Moment("files going but bytes there", "after", "actors.files:_let_go"),
    Moment("bytes deleted but rows there", "before", "service.files.sweeping:forget"),
]

PICTURING = [
    Moment("picture decoded but nothing reserved", "before", "actors.images:reserve"),
    Moment("versions reserved but not stored", "before", "actors.images:_store"),
    Moment("one version stored", "after", "actors.images:_store"),
    Moment("all versions stored but no rows", "after", "actors.images:_stored"),
    Moment("image ready but not committed", "after", "actors.images:_finish"),
]

REPORTING = [
    Moment("files reserved but not stored", "after", "actors.reports:_reserve"),
    Moment("rows read but not written", "after", "actors.reporting.csv_file:_taken"),
    Moment("tables stored but no PDF", "before", "service.documents.store:Documents.put"),
    Moment("files stored but not the report's", "before", "actors.reports:_finish"),
]

THREADS = [
    Moment("a worker thread", "instead", "dramatiq.worker:WorkerThread.process_message"),
    Moment("a consumer thread", "instead", "outbox.worker.broker:Consumer._hand_on"),
    Moment("group commit", "instead", "outbox.worker.records.group_commit:GroupCommit._settle"),
    Moment(
        "group commit as it wakes relays",
        "instead",
        "outbox.worker.records.group_commit:GroupCommit._notify",
    ),
    Moment("the time limits", "instead", "outbox.worker.runners.time_limit:TimeLimits._fire"),
    Moment("the event loop", "instead", "asyncio.base_events:BaseEventLoop._run_once"),
    Moment("the heartbeat", "instead", "outbox.worker.heartbeat:Heartbeat._beat"),
]

DUTIES = [
    Moment("the relay", "instead", "outbox.relay.pipeline:Pipeline.move"),
    Moment(
        "the collector",
        "instead",
        "outbox.maintenance.dead_letter_consumers:DeadLetterConsumers.open",
    ),
    Moment("the rescuer", "instead", "outbox.maintenance.rescuer:Rescuer._rescue"),
    Moment("the expirer", "instead", "outbox.maintenance.expirer:Expirer._expire"),
    Moment("the pruner", "instead", "outbox.maintenance.pruning.pruner:Pruner.walk"),
    Moment("the scheduler", "instead", "outbox.maintenance.scheduler:Scheduler.poll"),
]

ALL = [
    *(
        *API,
        *HOOKS,
        *PEOPLE,
        *COMMAND,
        *CANCELLING,
        *BATCH_COMMAND,
        *RELAY,
        *REFUSED,
        *UNPUBLISHABLE,
    ),
    *(*LOST, *WORKER),
    *(*DELIVERED, *UNDELIVERED),
    *(*STEPPING, *CANCELLED, *STOPPING, *COLLECTOR, *DROPPED, *RESCUER, *EXPIRER, *SCHEDULER),
    *(*CHARGING, *REFUNDING),
    *(*UPLOADING, *SWEEPING, *PICTURING),
    *(*MAILING, *MAILING_ONCE, *MAIL_UNCERTAIN),
    *(*UPLOADING_IMPORTS, *IMPORTING, *REPORTING),
    *(*FOLDING, *MEMBERS, *ADMITTING, *SENDING, *RECEIVING, *THREADS, *DUTIES),
]


def named(name: str) -> Moment:
    """The moment of this name."""
    return next(moment for moment in ALL if moment.name == name)
