"""Rows about jobs: whether the promises hold, what waits, what is done, and what fails."""

from dev.dashboard.panel import Panel, Row, largest, mean, quantile, quantiles, rate

FIRING = 'alertname=~"Duly.+", alertstate="firing"'
STATES = largest("duly_jobs", "queue", "priority", "state")
DUE = largest("duly_jobs", "queue", "priority", where='state="due"')

PROMISES = Row(
    "Promises",
    (
        Panel(
            "Promise meters",
            "short",
            "Jobs that nothing will move any more, by the promise that is broken. Must read 0.",
            {"{{promise}}": largest("duly_promise_broken", "promise")},
            sort="stat",
            red_from=1,
        ),
        Panel(
            "Alerts that fire",
            "short",
            "Duly's alerts that fire now, each with how often. Empty is good.",
            {
                "{{alertname}}": f"count by (alertname) (ALERTS{{{FIRING}}})",
            },
            sort="stat",
            red_from=1,
        ),
        Panel(
            "Age of the figures",
            "s",
            "Since a relay last sampled the database. After 30 s without, its panels are empty.",
            {"age": "time() - max (duly_sample_timestamp_seconds > 0)"},
            sort="stat",
            red_from=120,
        ),
        Panel(
            "Wasted attempts",
            "percentunit",
            "The share of a kind's attempts without success, and by nobody's wish.",
            {
                "{{kind}}": f"{rate('duly_wasted_attempts_total', 'kind')}"
                f" / {rate('duly_attempts_total', 'kind')}"
            },
        ),
        Panel(
            "Versions",
            "short",
            "How many processes run each version. Two at a time are a deployment.",
            {"{{version}}": "count by (version) (duly_build_info)"},
        ),
    ),
)

BACKLOG = Row(
    "Backlog",
    (
        Panel(
            "Jobs by state",
            "short",
            "Due (in Postgres), scheduled (for later), published (in RabbitMQ), running, and held "
            "back by keys.",
            {"{{state}}": f"sum by (state) ({STATES})"},
        ),
        Panel(
            "Due jobs by priority",
            "short",
            "Jobs that are due and wait in Postgres.",
            {"{{priority}}": f"sum by (priority) ({DUE})"},
        ),
        Panel(
            "Work by queue",
            "short",
            "What workers could do now, and what to scale them by.",
            {"{{queue}}": largest("duly_work", "queue")},
        ),
        Panel(
            "Submitted",
            "ops",
            "Jobs submitted each second, by processes that serve metrics.",
            {"{{kind}}": rate("duly_submitted_total", "kind")},
        ),
        Panel(
            "Oldest due job",
            "s",
            "How long the oldest due job of each queue has waited that a relay would have "
            "published, or admitted by its keys.",
            {"{{queue}}": largest("duly_oldest_due_seconds", "queue")},
        ),
        Panel(
            "Oldest queued job",
            "s",
            "How long ago the oldest queued job of each queue was due, published or not.",
            {"{{queue}}": largest("duly_oldest_queued_seconds", "queue")},
        ),
        Panel(
            "Overdue jobs",
            "short",
            "`duly status` says what each of them waits for.",
            {"{{queue}}": largest("duly_overdue_jobs", "queue")},
        ),
        Panel(
            "Queues with estimated figures",
            "bool_yes_no",
            "Whether a queue has more jobs than a sample counts: its figures are estimates then.",
            {"{{queue}}": largest("duly_jobs_estimated", "queue")},
        ),
        Panel(
            "Paused queues",
            "bool_yes_no",
            "Whether a person has paused the queue.",
            {"{{queue}}": largest("duly_paused", "queue")},
        ),
    ),
)

WORK = Row(
    "Work",
    (
        Panel(
            "Attempts by outcome",
            "ops",
            "How the attempts of each second ended.",
            {"{{outcome}}": f"sum by (outcome) ({rate('duly_attempts_total', 'kind', 'outcome')})"},
        ),
        Panel(
            "Succeeded by kind",
            "ops",
            "Jobs of each kind that succeeded each second.",
            {"{{kind}}": rate("duly_attempts_total", "kind", where='outcome="succeeded"')},
        ),
        Panel(
            "Run time by kind",
            "s",
            "95 % of a kind's attempts take less than this.",
            {"{{kind}}": quantile(0.95, "duly_run_seconds", "kind")},
        ),
        Panel(
            "Wait before the first attempt",
            "s",
            "From when a job was due to the start of its first attempt, over all kinds.",
            quantiles("duly_start_delay_seconds"),
        ),
        Panel(
            "Wait before the first attempt, by kind",
            "s",
            "95 % of a kind's jobs wait less than this.",
            {"{{kind}}": quantile(0.95, "duly_start_delay_seconds", "kind")},
        ),
        Panel(
            "Claims",
            "ops",
            "Jobs that workers claim each second. An empty claim found that its job had moved on.",
            {
                "{{queue}}": rate("duly_claims_total", "queue"),
                "{{queue}}, empty": rate("duly_empty_claims_total", "queue"),
            },
        ),
        Panel(
            "Jobs in a group commit",
            "short",
            "How many claims or outcomes a worker writes in one commit, on average.",
            {"{{statement}}": mean("duly_group_commit_jobs", "statement")},
        ),
        Panel(
            "Time of a group commit",
            "s",
            "How long a worker waits for Postgres to commit them.",
            quantiles("duly_group_commit_seconds", "statement"),
        ),
    ),
)

FAILURES = Row(
    "Failures and dead letters",
    (
        Panel(
            "Retries",
            "ops",
            "Attempts of each second that failed and are to be tried again.",
            {"{{kind}}": rate("duly_retries_total", "kind")},
        ),
        Panel(
            "Deaths",
            "ops",
            "Jobs of each second that failed for good, with the reason of their dead letter.",
            {"{{kind}}, {{reason}}": rate("duly_dead_total", "kind", "reason")},
        ),
        Panel(
            "Rescues",
            "ops",
            "Jobs of each second that were taken from a worker without heartbeat.",
            {"{{kind}}": rate("duly_rescues_total", "kind")},
        ),
        Panel(
            "Open dead letters",
            "short",
            "Jobs that failed for good and wait for a person.",
            {"{{queue}}": largest("duly_dead_letters", "queue")},
        ),
        Panel(
            "Oldest dead letter that nobody has looked at",
            "s",
            "How long ago its job died.",
            {"age": largest("duly_oldest_unseen_letter_seconds")},
            red_from=86400,
        ),
        Panel(
            "From failure to fix",
            "s",
            "From a job's first death to its success after a replay, over the last day.",
            quantiles("duly_fix_seconds", over="1d"),
        ),
        Panel(
            "Closed dead letters",
            "short",
            "Replayed and discarded letters that are still kept, by how long ago they were closed.",
            {"{{age}}": largest("duly_closed_letters", "age")},
        ),
    ),
)
