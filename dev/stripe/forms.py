"""Form-encoded bodies, with nested names as Stripe's clients write them."""

from urllib.parse import parse_qsl

from dev.stripe.answers import Json


def read(body: str) -> Json:
    """`a=1&b[c]=2` as `{"a": "1", "b": {"c": "2"}}`."""
    params: Json = {}
    for name, value in parse_qsl(body, keep_blank_values=True):
        *outer, last = name.replace("]", "").split("[")
        inner = params
        for each in outer:
            inner = inner.setdefault(each, {})
        inner[last] = value
    return params
