"""The API documents itself, without any other server."""

import re

import httpx2

from outbox.http.problems.types import PROBLEM_TYPES


def test_the_page_to_try_the_api_on_loads_everything_from_here(
    lasting_client: httpx2.Client,
) -> None:
    page = lasting_client.get("/docs").text

    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(addresses) == 3
    for address in addresses:
        assert lasting_client.get(address).status_code == 200
    assert "://" not in page.replace("http://www.w3.org", "")


def test_openapi_has_examples_and_problems_for_what_takes_a_body(
    lasting_client: httpx2.Client,
) -> None:
    described = lasting_client.get("/openapi.json").json()

    assert "ProblemBody" in described["components"]["schemas"]
    for path in ("/v1/invoices", "/v1/jobs", "/v1/webhook-endpoints"):
        post = described["paths"][path]["post"]
        assert post["requestBody"]["content"]["application/json"]["examples"]
        assert set(post["responses"]) >= {"400", "401", "403", "409", "413", "415", "422", "503"}
        assert "Idempotency-Key" in [header["name"] for header in post["parameters"]]


def test_the_index_leads_to_everything(lasting_client: httpx2.Client) -> None:
    index = lasting_client.get("/v1").json()

    assert lasting_client.get("/").json() == index
    assert {"docs", "openapi", "jobs", "dead_letters", "kinds", "queues", "workers"} <= set(
        index["links"]
    )
    for path in index["links"].values():
        assert lasting_client.get(path).status_code == 200, path


def test_the_index_and_the_problems_need_no_key(lasting_client: httpx2.Client) -> None:
    for path in ("/", "/v1", "/problems", "/problems/conflict"):
        assert httpx2.get(f"{lasting_client.base_url}{path}").status_code == 200, path


def test_every_type_of_problem_is_listed_and_leads_to_its_meaning(
    lasting_client: httpx2.Client,
) -> None:
    listed = lasting_client.get("/problems").json()["problems"]

    assert {each["type"] for each in listed} == {type_.uri for type_ in PROBLEM_TYPES.values()}
    assert [lasting_client.get(each["type"]).json() for each in listed] == listed


def test_every_schema_that_openapi_refers_to_is_there(lasting_client: httpx2.Client) -> None:
    text = lasting_client.get("/openapi.json").text
    described = httpx2.Response(200, text=text).json()["components"]["schemas"]

    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= set(described)
