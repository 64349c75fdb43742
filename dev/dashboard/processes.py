"""Rows about processes and what they do besides: relays, workers, api, schedules and limits."""

from dev.dashboard.panel import Panel, Row, largest, quantile, quantiles, rate, total

BUSY = 'state="busy"'

RELAY = Row(
    "Relay and broker",
    (
        Panel(
            "Published",
            "ops",
            "Messages that RabbitMQ confirmed each second.",
            {"{{queue}}": rate("duly_confirmed_total", "queue")},
        ),
        Panel(
            "Published, confirmed, returned",
            "ops",
            "Of all queues. What is neither confirmed nor returned is published again.",
            {
                "published": rate("duly_published_total"),
                "confirmed": rate("duly_confirmed_total"),
                "returned": rate("duly_returned_total"),
            },
        ),
        Panel(
            "Time to confirm",
            "s",
            "From publishing a batch to RabbitMQ's confirm of all of it.",
            quantiles("duly_confirm_seconds"),
        ),
        Panel(
            "Redispatches",
            "ops",
            "Jobs of each second whose message RabbitMQ lost, published again.",
            {"{{queue}}": rate("duly_redispatches_total", "queue")},
        ),
        Panel(
            "Servers in reach",
            "bool_yes_no",
            "Whether each process reaches Postgres and RabbitMQ.",
            {"{{server}} from {{instance}}": "min by (server, instance) (duly_up)"},
        ),
        Panel(
            "Blocked by RabbitMQ",
            "bool_yes_no",
            "Whether RabbitMQ takes no messages of a relay, because it is short of memory or disk.",
            {"{{instance}}": "max by (instance) (duly_broker_blocked)"},
            red_from=1,
        ),
        Panel(
            "Oldest message to another service",
            "s",
            "How long ago the oldest message was published that RabbitMQ has not confirmed.",
            {"age": largest("duly_oldest_message_seconds")},
            red_from=120,
        ),
    ),
)

WORKERS = Row(
    "Workers",
    (
        Panel(
            "Workers by queue",
            "short",
            "Workers with a fresh heartbeat that serve the queue.",
            {"{{queue}}": largest("duly_workers", "queue")},
        ),
        Panel(
            "Slots",
            "short",
            "Threads and tasks of all workers, busy and free.",
            {"{{sort}}, {{state}}": total("duly_slots", "sort", "state")},
        ),
        Panel(
            "Busy slots by worker",
            "percentunit",
            "The share of a worker's threads and tasks that run a job.",
            {
                "{{instance}}, {{sort}}": f"{total('duly_slots', 'instance', 'sort', where=BUSY)}"
                f" / {total('duly_slots', 'instance', 'sort')}"
            },
        ),
        Panel(
            "Age of the last heartbeat",
            "s",
            "A worker that is silent for longer than DULY_WORKER_SILENCE counts as dead.",
            {"{{instance}}": "time() - max by (instance) (duly_heartbeat_timestamp_seconds > 0)"},
        ),
        Panel(
            "Lag of the event loop",
            "s",
            "How much later than asked for the event loop of an api or a worker runs what is due.",
            {"{{instance}}": "max by (instance) (duly_event_loop_lag_seconds)"},
        ),
    ),
)

API = Row(
    "API",
    (
        Panel(
            "Requests by status",
            "reqps",
            "Answers of each second.",
            {"{{status}}": rate("duly_requests_total", "status")},
        ),
        Panel(
            "Requests by route",
            "reqps",
            "Answers of each second.",
            {"{{method}} {{route}}": rate("duly_requests_total", "method", "route")},
        ),
        Panel(
            "Time of a request, by route",
            "s",
            "95 % of a route's answers take less than this.",
            {"{{method}} {{route}}": quantile(0.95, "duly_request_seconds", "method", "route")},
        ),
        Panel(
            "Connections to Postgres",
            "short",
            "Connections of the api's pools, busy and free.",
            {"{{state}}": total("duly_pool_connections", "state")},
        ),
    ),
)

LIMITS = Row(
    "Schedules, limits and batches",
    (
        Panel(
            "Ticks",
            "ops",
            "Ticks of schedules each second: made into jobs, or skipped.",
            {"{{outcome}}": rate("duly_ticks_total", "outcome")},
        ),
        Panel(
            "Lag of the schedules",
            "s",
            "How long ago the most overdue tick was due that is not made.",
            {"lag": largest("duly_schedule_lag_seconds")},
            red_from=60,
        ),
        Panel(
            "Missed ticks",
            "short",
            "Ticks of the last hour that were skipped because no relay ran when they were due.",
            {"missed": "sum(increase(duly_missed_ticks_total[1h]))"},
        ),
        Panel(
            "Jobs held back",
            "short",
            "Due jobs that wait for a limit, the order or the rate of a key.",
            {"{{queue}}": largest("duly_held_jobs", "queue")},
        ),
        Panel(
            "Held back each second",
            "ops",
            "How often relays found a due job and did not admit it, because of its keys or because "
            "enough others may begin.",
            {"{{queue}}": rate("duly_held_back_total", "queue")},
        ),
        Panel(
            "Open batches",
            "short",
            "Batches whose jobs have not all ended.",
            {"open": largest("duly_open_batches")},
        ),
    ),
)
