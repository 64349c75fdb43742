"""The frames of a message are those that pika would send."""

import pika
from hypothesis import given
from hypothesis import strategies as st
from pika import frame, spec

from outbox.amqp import messages
from outbox.amqp.messages import Dispatch

NAMES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=200)
DISPATCHES = st.builds(
    Dispatch, st.uuids().map(str), st.integers(1, messages.LARGEST_DISPATCH), NAMES, NAMES
)


@given(DISPATCHES, st.integers(1, 65535))
def test_frames_are_those_of_pika(dispatch: Dispatch, channel: int) -> None:
    made = messages.frames(channel, dispatch)
    body = _last_frame(made).fragment
    properties = pika.BasicProperties(  # type: ignore[no-untyped-call]
        content_type="application/json", delivery_mode=2, message_id=dispatch.message_id
    )
    publish = spec.Basic.Publish(routing_key=dispatch.queue, mandatory=True)  # type: ignore[no-untyped-call]
    expected = (
        frame.Method(channel, publish),
        frame.Header(channel, len(body), properties),
        frame.Body(channel, body),
    )
    assert made == b"".join(each.marshal() for each in expected)
    assert messages.decode(body, dispatch.queue) == dispatch


def _last_frame(made: bytes) -> frame.Body:
    decoded: object = None
    while made:
        length, decoded = frame.decode_frame(made)
        made = made[length:]
    assert isinstance(decoded, frame.Body)
    return decoded
