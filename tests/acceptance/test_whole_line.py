"""The main job, from the POST to what customer and endpoint receive."""

from io import BytesIO

from pypdf import PdfReader

from tests.support.outside.arrivals import message_ids, webhook_ids
from tests.support.service.line import INVOICE, Line
from tests.support.wait import wait_for


def test_a_posted_invoice_is_drawn_mailed_and_announced(line: Line) -> None:
    line.start("api", "relay", "worker")
    endpoint = line.listen()
    invoice = line.post("/v1/invoices", INVOICE)
    (drawing,) = invoice["jobs"]
    wait_for("a mail", lambda: len(line.inbox.envelopes) == 1)
    wait_for("a webhook", lambda: len(line.receiver.deliveries) == 1)

    pdf = line.http.get(invoice["links"]["pdf"]).raise_for_status().content
    assert "Ada Lovelace" in PdfReader(BytesIO(pdf)).pages[0].extract_text()
    (mail,), (delivery,) = line.inbox.messages(), line.receiver.deliveries
    assert mail["To"] == "ada@example.com"
    assert [part.get_content() for part in mail.iter_attachments()] == [pdf]
    event = delivery.verified(endpoint["secret"])
    assert (event["type"], event["data"]["invoice_id"]) == ("invoice.rendered", invoice["id"])

    [mailing], [telling] = message_ids(line.inbox), webhook_ids(line.receiver.deliveries)
    line.wait_for_state("succeeded", [drawing["id"], mailing, telling])
    its_jobs = {job["id"] for job in line.get(invoice["links"]["self"])["jobs"]}
    assert its_jobs == {drawing["id"], mailing, telling}
