"""Names of OpenTelemetry's semantic conventions for messaging, version 1.44, and our own.

OTEL_SEMCONV_STABILITY_OPT_IN chooses between names that an instrumentation has emitted before and
newer ones. These spans have never had any others, so each of its values leads to the same names.
"""

from collections.abc import Mapping

from outbox.tracing.tracer import Address

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"

SYSTEM = {"messaging.system": "rabbitmq"}
MESSAGE_ID = "messaging.message.id"
CONVERSATION_ID = "messaging.message.conversation_id"
BATCH_COUNT = "messaging.batch.message_count"
CLIENT_ID = "messaging.client.id"
ERROR_TYPE = "error.type"

KIND = "duly.job.kind"
ATTEMPT = "duly.job.attempt"
OUTCOME = "duly.job.outcome"
LINK = "duly.link"


def operation(name: str) -> dict[str, str]:
    """What the span does: create, send or process."""
    return {**SYSTEM, "messaging.operation.name": name, "messaging.operation.type": name}


def destination(exchange: str, routing_key: str) -> Mapping[str, str]:
    """Where the message goes. By the default exchange, that is the queue of the key's name."""
    name = ":".join(filter(None, (exchange, routing_key)))
    return {
        "messaging.destination.name": name,
        "messaging.rabbitmq.destination.routing_key": routing_key,
    }


def server(broker: Address | None) -> dict[str, str | int]:
    """Where the broker is, if that is known."""
    if broker is None:
        return {}
    host, port = broker
    return {"server.address": host, "server.port": port}
