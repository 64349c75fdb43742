import json
from contextlib import suppress
from typing import Any

import pytest
from dramatiq import Message
from hypothesis import given
from hypothesis import strategies as st

from outbox.amqp.messages import LARGEST_DISPATCH, Dispatch, Malformed, decode, encode

JOB = "0190f3b0-7c2e-7c3a-8f52-6d7d54b2a111"
GOOD = {
    "queue_name": "q",
    "actor_name": "a.kind",
    "args": [JOB, 1],
    "kwargs": {},
    "options": {},
    "message_id": f"{JOB}.1",
    "message_timestamp": 0,
}
printable = st.text(min_size=1, max_size=200).filter(str.isprintable)
dispatches = st.builds(
    Dispatch, st.uuids().map(str), st.integers(1, LARGEST_DISPATCH), kind=printable, queue=st.text()
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(dispatches)
def test_what_is_encoded_is_decoded_to_the_same(dispatch: Dispatch) -> None:
    assert decode(encode(dispatch), dispatch.queue) == dispatch


@given(dispatches)
def test_dramatiq_reads_it_as_a_call_of_the_kinds_actor(dispatch: Dispatch) -> None:
    message: Message[Any] = Message.decode(encode(dispatch))
    assert (message.queue_name, message.actor_name) == (dispatch.queue, dispatch.kind)
    assert message.args == (dispatch.job_id, dispatch.dispatch)


def test_a_dispatch_has_the_same_message_id_each_time_and_the_next_another() -> None:
    first, again = (decode(encode(Dispatch(JOB, 1, "k", "q")), "q") for _ in range(2))
    assert first.message_id == again.message_id
    assert Dispatch(JOB, 2, "k", "q").message_id != first.message_id


@given(st.binary())
def test_no_bytes_raise_anything_but_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        decode(body, "q")


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), anything))
def test_no_fields_raise_anything_but_malformed(fields: dict[str, Any]) -> None:
    with suppress(Malformed):
        decode(json.dumps(GOOD | fields).encode(), "q")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"9" * 5000])
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="not JSON"):
        decode(body, "q")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1"])
def test_json_that_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="not a JSON object"):
        decode(body, "q")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"one": "more"}, "keys"),
        ({"queue_name": "other"}, "queue_name"),
        ({"queue_name": None}, "queue_name"),
        ({"kwargs": {"x": 1}}, "kwargs or options"),
        ({"kwargs": []}, "kwargs or options"),
        ({"options": {"eta": 1}}, "kwargs or options"),
        ({"options": None}, "kwargs or options"),
        ({"actor_name": 7}, "args are not"),
        ({"actor_name": "nul\0"}, "actor_name"),
        ({"actor_name": "half a pair \ud800"}, "actor_name"),
        ({"message_id": 7}, "args are not"),
        ({"args": []}, "args are not"),
        ({"args": [JOB]}, "args are not"),
        ({"args": [JOB, 1, 2]}, "args are not"),
        ({"args": [1, 1]}, "args are not"),
        ({"args": [1, JOB]}, "args are not"),
        ({"args": [JOB, "1"]}, "args are not"),
        ({"args": ["job-1", 1]}, "no UUID"),
        ({"args": [JOB.upper(), 1]}, "no UUID"),
        ({"args": [f"{JOB}\n", 1]}, "no UUID"),
        ({"args": [JOB, 0]}, "out of range"),
        ({"args": [JOB, -1]}, "out of range"),
        ({"args": [JOB, True]}, "out of range"),
        ({"args": [JOB, LARGEST_DISPATCH + 1]}, "out of range"),
    ],
)
def test_each_rule_is_held(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        decode(json.dumps(GOOD | fields).encode(), "q")


@pytest.mark.parametrize("missing", GOOD)
def test_a_key_less_is_malformed(missing: str) -> None:
    fields = {key: value for key, value in GOOD.items() if key != missing}
    with pytest.raises(Malformed, match="keys"):
        decode(json.dumps(fields).encode(), "q")


def test_a_malformed_messages_text_quotes_nothing_of_it() -> None:
    body = json.dumps(GOOD | {"args": ["secret-value", 1]}).encode()
    with pytest.raises(Malformed) as caught:
        decode(body, "q")
    assert "secret-value" not in str(caught.value)
