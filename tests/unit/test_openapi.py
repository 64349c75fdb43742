"""The API's description is valid, complete and stable enough to generate clients from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker
from openapi_spec_validator import OpenAPIV31SpecValidator

from outbox.http.problems.types import PROBLEM_TYPES
from service.app import create_app
from tests.support.service.serving import settings_for

OPERATIONS = {
    "add_members",
    "ask_to_unsubscribe",
    "backfill_schedule",
    "cancel_batch",
    "cancel_import",
    "cancel_job",
    "cancel_payment",
    "charge_invoice",
    "clear_limit",
    "close_month",
    "continue_cancellation",
    "create_cancellation",
    "create_email",
    "create_hook_source",
    "create_image",
    "create_image_from_file",
    "create_import",
    "create_invoice",
    "create_report",
    "create_report_link",
    "create_schedule",
    "create_suppression",
    "create_webhook_endpoint",
    "delete_file",
    "delete_hook_source",
    "delete_image",
    "delete_schedule",
    "delete_suppression",
    "delete_webhook_endpoint",
    "discard_dead_letter",
    "download_report",
    "edit_schedule",
    "edit_webhook_endpoint",
    "enable_webhook_endpoint",
    "explain_problem",
    "get_bad_rows",
    "get_batch",
    "get_cancellation",
    "get_closing",
    "get_dead_letter",
    "get_delivery",
    "get_email",
    "get_file",
    "get_file_content",
    "get_hook_event",
    "get_image",
    "get_image_version",
    "get_import",
    "get_index",
    "get_invoice",
    "get_invoice_pdf",
    "get_job",
    "get_metrics",
    "get_payment",
    "get_received",
    "get_report",
    "get_schedule",
    "get_webhook_endpoint",
    "is_alive",
    "is_ready",
    "list_batches",
    "list_closings",
    "list_dead_letters",
    "list_deliveries",
    "list_emails",
    "list_events",
    "list_hook_events",
    "list_hook_sources",
    "list_imports",
    "list_invoices",
    "list_jobs",
    "list_jobs_to_cancel",
    "list_kinds",
    "list_limits",
    "list_mail_templates",
    "list_members",
    "list_overdue_jobs",
    "list_payments",
    "list_problems",
    "list_queues",
    "list_reports",
    "list_schedules",
    "list_suppressions",
    "list_ticks",
    "list_webhook_endpoints",
    "list_workers",
    "pause_queue",
    "pause_schedule",
    "receive_event",
    "receive_stripe_event",
    "redeliver_event",
    "redeliver_failed",
    "refund_payment",
    "replay_dead_letter",
    "reschedule_job",
    "resume_closing",
    "resume_queue",
    "resume_schedule",
    "rotate_hook_source",
    "rotate_webhook_secret",
    "run_schedule",
    "seal_batch",
    "set_limit",
    "submit_batch",
    "submit_job",
    "take_bounce",
    "take_hook_event",
    "take_hook_events",
    "test_webhook_endpoint",
    "unsubscribe_receiver",
    "upload_content",
    "upload_file",
    "upload_part",
}
"""A name that is missing here breaks every client that was generated before."""


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """The API's OpenAPI."""
    settings = settings_for("postgresql://u@127.0.0.1/x", "amqp://u:p@127.0.0.1/", Path("/tmp"))
    return create_app(settings).openapi()


def test_openapi_is_valid(described: dict[str, Any]) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(described).iter_errors()] == []


def test_the_names_of_operations_stay(described: dict[str, Any]) -> None:
    assert sorted(each["operationId"] for each in _operations(described)) == sorted(OPERATIONS)


def test_every_json_answer_has_an_example_and_all_examples_are_valid(
    described: dict[str, Any],
) -> None:
    for operation in _operations(described):
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                if "json" in media_type and content["schema"].get("format") != "binary":
                    where = f"{operation['operationId']} {status}"
                    assert _wrong_examples(described, content) == [], where


def test_every_example_of_a_request_is_valid(described: dict[str, Any]) -> None:
    bodies = [each["requestBody"] for each in _operations(described) if "requestBody" in each]
    contents = [content for body in bodies for content in body["content"].values()]
    with_examples = [content for content in contents if "examples" in content]

    assert len(with_examples) > 10
    contents = [body["content"].get("application/json", {}) for body in bodies]
    with_examples = [content for content in contents if "examples" in content]

    for content in with_examples:
        assert _wrong_examples(described, content) == []


def test_each_kind_has_a_model_of_its_own_that_the_discriminator_names(
    described: dict[str, Any],
) -> None:
    job = described["components"]["schemas"]["NewJob"]

    assert job["discriminator"] == {
        "propertyName": "kind",
        "mapping": {
            "email.send": "#/components/schemas/NewSendEmail",
            "webhook.deliver": "#/components/schemas/NewDeliverWebhook",
        },
    }
    assert [each["$ref"] for each in job["oneOf"]] == [*job["discriminator"]["mapping"].values()]


def test_no_model_is_described_in_two_places(described: dict[str, Any]) -> None:
    titles = [model["title"] for model in _models(described)]

    assert sorted(titles) == sorted(set(titles))


def test_the_headers_of_answers_are_described(described: dict[str, Any]) -> None:
    responses = described["paths"]["/v1/jobs"]["post"]["responses"]

    assert set(responses["202"]["headers"]) == {
        *("Location", "Retry-After", "X-Request-Id", "Idempotent-Replayed")
    }
    assert set(responses["401"]["headers"]) == {"WWW-Authenticate", "X-Request-Id"}
    for status in ("409", "503"):
        assert set(responses[status]["headers"]) == {"Retry-After", "X-Request-Id"}


def test_every_problem_has_an_example(described: dict[str, Any]) -> None:
    assert set(described["components"]["examples"]) >= set(PROBLEM_TYPES)


def test_all_errors_are_problems(described: dict[str, Any]) -> None:
    found = {
        media_type
        for operation in _operations(described)
        for status, response in operation["responses"].items()
        if status >= "400" and (operation["operationId"], status) != ("is_ready", "503")
        for media_type in response["content"]
    }
    assert found == {"application/problem+json"}


def _operations(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in described["paths"].values():
        yield from operations.values()


def _wrong_examples(described: dict[str, Any], content: dict[str, Any]) -> list[str]:
    """What is wrong with the examples; that there are none is wrong, too."""
    schema = {**content["schema"], "components": described["components"]}
    validator = OAS31Validator(schema, format_checker=oas31_format_checker)
    examples = []
    for each in content.get("examples", {}).values():
        name = each.get("$ref", "").removeprefix("#/components/examples/")
        examples.append((described["components"]["examples"][name] if name else each)["value"])
    errors = (error for example in examples for error in validator.iter_errors(example))
    return [str(error) for error in errors] if examples else ["there is no example"]


def _models(schema: object) -> Iterator[dict[str, Any]]:
    """All objects with named fields, wherever they stand."""
    if isinstance(schema, dict):
        if "properties" in schema and "title" in schema:
            yield schema
        for each in schema.values():
            yield from _models(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _models(each)
