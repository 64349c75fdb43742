"""Whatever is sent, the answer is a problem that says what is wrong, and never a 500."""

import json
from typing import Any

import httpx2
import pytest

from outbox.values.value_count import MOST_VALUES
from service.settings import Settings
from service.subjects import NEW_JOBS
from tests.support.service.serving import serve

JSON = {"Content-Type": "application/json"}
MAIL = json.dumps(NEW_JOBS["a mail"]["value"])
EVENT: Any = NEW_JOBS["an event"]["value"]
BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 422),
    "no JSON": (b"{", 400),
    "more than JSON": (b"{} {}", 400),
    "no object": (b"[1]", 422),
    "null": (b"null", 422),
    "not UTF-8": (b'{"kind": "\xff"}', 400),
    "UTF-16": (MAIL.encode("utf-16"), 400),
    "byte order mark": (b"\xef\xbb\xbf" + MAIL.encode(), 400),
    "NaN": (b'{"kind": NaN}', 400),
    "lone surrogate": (MAIL.replace("Hello", "\\ud800").encode(), 422),
    "lone surrogate in a name": (b'{"kind\\ud800": {"\\udfff": 1}}', 422),
    "a name twice": (MAIL.replace('"subject"', '"text"').encode(), 422),
    "raw NUL": (MAIL.replace("Hello", "\0").encode(), 400),
    "escaped NUL": (MAIL.replace("Hello", "\\u0000").encode(), 422),
    "NUL in a name": (b'{"kind\\u0000": 1}', 422),
    "deep": (b"[" * 50_000, 400),
    "too deep to be kept": (b'{"a":' * 65 + b"1" + b"}" * 65, 422),
    "huge integer": (b'{"kind": ' + b"9" * 50_000 + b"}", 400),
}
DATA = [
    *("1e999", '"\\u0000"', '{"\\u0000": 1}', "9" * 4301, '"\\udfff"'),
    *("[" * levels + "]" * levels for levels in (62, 90, 300)),
]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/invoices", "/v1/webhook-endpoints"])
def test_a_bad_body_is_refused(lasting_client: httpx2.Client, path: str, name: str) -> None:
    body, status = BODIES[name]

    _is_problem(lasting_client.post(path, content=body, headers=JSON), status)


@pytest.mark.parametrize("data", DATA)
def test_what_jsonb_cannot_hold_is_refused(lasting_client: httpx2.Client, data: str) -> None:
    body = json.dumps(EVENT).replace('{"order": 1042}', f'{{"x": {data}}}')

    answer = lasting_client.post("/v1/jobs", content=body, headers=JSON)

    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("media_type", ["text/plain", "multipart/form-data; boundary=x", "json"])
def test_a_body_that_is_not_declared_as_json_is_refused(
    lasting_client: httpx2.Client, media_type: str
) -> None:
    answer = lasting_client.post("/v1/jobs", content=MAIL, headers={"Content-Type": media_type})

    _is_problem(answer, 415)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/jobs/1", 422),
        ("GET", "/v1/jobs/%00", 422),
        ("GET", "/v1/jobs?kind=%00", 422),
        ("GET", "/v1/jobs?kind=" + "x" * 201, 422),
        ("GET", "/v1/jobs?kind=%ff%fe", 200),
        ("GET", "/v1/jobs?state=lost", 422),
        ("GET", "/v1/dead-letters?error=%00", 422),
        ("GET", "/v1/dead-letters?error=%25_%5c", 200),
        ("GET", "/v1/dead-letters?since=9999-12-31T23:59:59-14:00", 200),
        ("GET", "/v1/dead-letters?since=0001-01-01T00:00:00%2B14:00", 200),
        ("GET", "/v1/dead-letters?since=yesterday", 422),
        ("GET", "/v1/dead-letters/0", 422),
        ("GET", f"/v1/dead-letters/{2**63}", 422),
        ("GET", "/v1/dead-letters/" + "9" * 5000, 422),
        ("GET", "/v1/nothing", 404),
        ("GET", "/%00%ff", 404),
        ("PUT", "/v1/jobs", 405),
        ("DELETE", "/v1/jobs", 405),
        ("TRACE", "/v1/jobs", 405),
    ],
)
def test_an_odd_address_gets_a_plain_answer(
    lasting_client: httpx2.Client, method: str, path: str, status: int
) -> None:
    answer = lasting_client.request(method, path)

    assert answer.status_code == status
    if status >= 400:
        _is_problem(answer, status)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("12345678901234567.89", "is a number that cannot be kept exactly: send it as a text"),
        ("1e999", "is a number that cannot be kept exactly: send it as a text"),
        ("1e-999", "is a number that cannot be kept exactly: send it as a text"),
        ('"\\u0000"', "must not contain NUL or half a surrogate pair"),
        ('1, "x": 2', "is given more than once"),
    ],
)
def test_what_would_be_kept_as_something_else_is_refused_by_name(
    lasting_client: httpx2.Client, data: str, message: str
) -> None:
    body = json.dumps(EVENT).replace('{"order": 1042}', f'{{"x": {data}}}')

    problem = lasting_client.post("/v1/jobs", content=body, headers=JSON).json()

    assert problem["errors"][0]["field"].startswith("payload.data.x")
    assert problem["errors"][0]["message"] == message


@pytest.mark.parametrize(("levels", "status"), [(61, 202), (62, 422), (63, 422), (300, 422)])
def test_a_body_that_is_nested_too_deeply_is_refused(
    lasting_client: httpx2.Client, levels: int, status: int
) -> None:
    data = "[" * levels + "]" * levels
    body = json.dumps(EVENT).replace('{"order": 1042}', f'{{"x": {data}}}')

    answer = lasting_client.post("/v1/jobs", content=body, headers=JSON)

    assert answer.status_code == status
    if status == 422:
        message = "may be nested up to 64 levels deep"
        assert answer.json()["errors"] == [{"field": "body", "message": message}]


def test_a_body_of_too_many_values_is_refused(settings: Settings, client: httpx2.Client) -> None:
    values = ",".join(["[]"] * MOST_VALUES)
    body = json.dumps(EVENT).replace('{"order": 1042}', f'{{"x": [{values}]}}')
    with serve(settings.model_copy(update={"largest_body": len(body)})) as address:
        answer = httpx2.post(
            f"{address}/v1/jobs", content=body, headers={**client.headers, **JSON}, timeout=30
        )

    assert answer.status_code == 422
    message = "may have up to 100000 values, at all levels together"
    assert answer.json()["errors"] == [{"field": "body", "message": message}]


def test_numbers_that_are_taken_are_kept_digit_by_digit(lasting_client: httpx2.Client) -> None:
    numbers = "[12345678901234567890, 0.1, 1.50, -2.5e-7, 123456789.123456]"
    body = json.dumps(EVENT).replace('{"order": 1042}', f'{{"x": {numbers}}}')

    made = lasting_client.post("/v1/jobs", content=body, headers=JSON)

    assert made.status_code == 202
    shown = lasting_client.get(made.json()["links"]["self"]).text
    assert '"x":[12345678901234567890,0.1,1.5' in shown
    assert json.loads(shown)["payload"]["data"]["x"] == json.loads(numbers)


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/invoices", "/v1/overdue-jobs", "/healthz"])
def test_an_unknown_query_parameter_is_refused_by_name(
    lasting_client: httpx2.Client, path: str
) -> None:
    answer = lasting_client.get(path, params={"stat": "dead"})

    _is_problem(answer, 422)
    (error,) = answer.json()["errors"]
    assert error["field"] == "stat"
    assert error["message"].startswith("is no query parameter of this address")


def test_a_query_parameter_that_comes_twice_is_refused(lasting_client: httpx2.Client) -> None:
    answer = lasting_client.get("/v1/jobs?state=dead&state=queued")

    assert answer.json()["errors"] == [{"field": "state", "message": "is given more than once"}]


def test_no_query_makes_a_large_answer(lasting_client: httpx2.Client) -> None:
    answer = lasting_client.get("/v1/jobs?" + "&".join(f"a{number}" for number in range(2000)))

    _is_problem(answer, 422)
    assert len(answer.json()["errors"]) == 100


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/docs", "/openapi.json", "/problems/conflict", "/v1/jobs"]
)
def test_head_is_answered_like_get_but_without_a_body(
    lasting_client: httpx2.Client, path: str
) -> None:
    head, got = lasting_client.head(path), lasting_client.get(path)

    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-length"] == got.headers["content-length"]


def test_the_methods_of_an_address_are_named_with_head(lasting_client: httpx2.Client) -> None:
    assert lasting_client.put("/v1/jobs").headers["allow"] == "GET, HEAD, POST"


def test_many_errors_do_not_make_a_large_answer(lasting_client: httpx2.Client) -> None:
    body = {f"{'x' * 1000}{number}": number for number in range(90)}
    answer = lasting_client.post("/v1/jobs", json=body)

    _is_problem(answer, 422)
    assert len(answer.json()["errors"]) == 92  # two are missing
    assert len(answer.content) < 40_000


def test_objects_of_thousands_of_fields_are_one_error(lasting_client: httpx2.Client) -> None:
    many = {str(number): number for number in range(5_000)}
    bodies = (many, {"kind": "email.send", "payload": many})
    answers = [lasting_client.post("/v1/jobs", json=body).json() for body in bodies]

    assert [[error["field"] for error in answer["errors"]] for answer in answers] == [
        ["body"],
        ["payload"],
    ]


def test_a_problem_type_explains_itself(lasting_client: httpx2.Client) -> None:
    problem = lasting_client.get("/v1/nothing").json()

    meaning = lasting_client.get(problem["type"]).json()

    assert (meaning["status"], meaning["title"]) == (404, problem["title"])


def _is_problem(answer: httpx2.Response, status: int) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert answer.status_code == problem["status"] == status, problem
    assert problem["type"].startswith("/problems/")
    assert problem["title"]
    assert problem["detail"]
