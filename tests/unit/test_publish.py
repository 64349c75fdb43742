"""What a message to another service says of itself, and what is refused before it is written."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from pika import frame, spec
from pydantic import BaseModel
from sqlalchemy.orm import Session

from outbox import publish
from outbox.amqp import outgoing
from outbox.amqp.outgoing import Outgoing
from outbox.publishing.cloud_events import PREFIXES
from outbox.publishing.headers import OURS, ROUTING
from outbox.testing import published

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60)
OWN = NAMES.filter(lambda name: not (name in OURS | ROUTING or name.startswith(PREFIXES)))
VALUES = st.text(st.characters(exclude_categories=["Cs"])) | st.booleans()
HEADERS = st.dictionaries(OWN, VALUES | st.integers(-(2**63), 2**63 - 1), max_size=8)
TRACE = f"00-{'1' * 32}-{'2' * 16}-01"


class Shipped(BaseModel):
    """What is told."""

    at: datetime


def written(exchange: str = "shop", key: str = "k", message: Any = b"1", **options: Any) -> Any:
    """The message as it waits for its commit."""
    with Session() as session:
        publish(session, exchange, key, message, **({"type": "t"} | options))
        (found,) = published(session)
        session.rollback()
        return found


@given(HEADERS, st.binary(max_size=3000), st.integers(1, 65535))
def test_headers_and_body_arrive_as_they_were_given(
    headers: dict[str, Any], body: bytes, channel: int
) -> None:
    found = written(message=body, headers=headers)
    assert found.body == body
    theirs = {name: each for name, each in found.headers.items() if name in headers}
    assert theirs == headers
    assert {name: type(each) is bool for name, each in theirs.items()} == {
        name: type(each) is bool for name, each in headers.items()
    }
    properties = outgoing.encode(message_id="1", headers=headers)
    sent = outgoing.frames(channel, Outgoing("1", "x", "k", properties, body), 1000)
    received = b""
    while sent:
        length, each = frame.decode_frame(sent)
        assert length <= 1000 or isinstance(each, frame.Header)
        if isinstance(each, frame.Method):
            assert isinstance(each.method, spec.Basic.Publish)
            assert (each.method.exchange, each.method.routing_key) == ("x", "k")
            assert each.method.mandatory
        elif isinstance(each, frame.Header):
            assert each.body_size == len(body)
            assert (each.properties.headers or {}) == headers
        elif isinstance(each, frame.Body):
            received += each.fragment
        sent = sent[length:]
    assert received == body


def test_models_and_mappings_are_json() -> None:
    moment = datetime(2026, 11, 30, tzinfo=UTC)
    found = written(message=Shipped(at=moment))
    assert (found.content, found.content_type) == (
        {"at": "2026-11-30T00:00:00Z"},
        "application/json",
    )
    assert written(message={"at": moment}).content == found.content
    assert written(message=b"x").content_type == "application/octet-stream"
    assert written(message=b"x", content_type="text/plain").content_type == "text/plain"


def test_a_trace_is_the_given_one_or_the_current_one() -> None:
    assert "traceparent" not in written().headers
    assert written(traceparent=TRACE, tracestate="a=b").headers["tracestate"] == "a=b"
    context = SpanContext(int("1" * 32, 16), int("2" * 16, 16), False, TraceFlags(1))
    with use_span(NonRecordingSpan(context)):
        assert written().headers["traceparent"] == TRACE
        other = TRACE.replace("1", "3")
        assert written(traceparent=other).headers["traceparent"] == other


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"exchange": "x" * 256}, "exchange: one line of at most 255 bytes"),
        ({"exchange": "ü" * 128}, "exchange"),
        ({"exchange": "a\nb"}, "exchange"),
        ({"key": "k" * 256}, "routing key: one line of at most 255 bytes"),
        ({"key": "\0"}, "routing key"),
        ({"exchange": "", "key": ""}, "the default exchange needs a routing key"),
        ({"message": b"x" * 1_000_001}, "a message has 1000000 bytes at most, not 1000001"),
        ({"message": {"n": float("nan")}}, "NaN or infinity"),
        ({"type": ""}, "type"),
        ({"source": ""}, "source"),
        ({"subject": ""}, "subject"),
        ({"time": datetime.fromisoformat("2026-01-01")}, "time needs a time zone"),
        ({"content_type": "a" * 256}, "content_type"),
        ({"headers": {"": "x"}}, "a header's name"),
        ({"headers": {"n" * 256: "x"}}, "a header's name"),
        ({"headers": {"n": 1.5}}, "header n: a str, an int or a bool, not float"),
        ({"headers": {"n": 2**63}}, "64 bits"),
        ({"headers": {"n": "\ud800"}}, "lone surrogate"),
        ({"headers": {"cloudEvents:id": "1"}}, "`publish` writes it"),
        ({"headers": {"traceparent": TRACE}}, "`publish` writes it"),
        ({"headers": {"BCC": "other"}}, "route the message to other queues"),
        ({"headers": {"n": "x" * 32_000}}, "32000 bytes at most"),
        ({"traceparent": "1"}, "traceparent"),
        ({"tracestate": "a=b"}, "needs its traceparent"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        written(**given)


def test_what_is_no_message_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="a message is a pydantic model, a mapping or bytes: not"):
        written(message="text")
