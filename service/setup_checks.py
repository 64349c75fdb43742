"""What `duly doctor` checks of this service besides Duly: mail server, document store and Stripe.

Each imports what it needs when it looks: no other process or command should have to.
"""

from pathlib import Path
from smtplib import SMTPException
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from outbox.doctor import Check, Found, Setup, Skip, error, ok, warning
from service.settings import Settings

SECONDS = 4.0
"""How long a server may take to answer: less than a check has."""
ONLY_WORKERS = "only workers need it: run `duly doctor`"
NO_BUCKET = "NoSuchBucket"
"""S3's code of this error. It is told apart from a missing document only in an answer to GET."""
PAGE = "docs/doctor.md#checks-of-this-service"


def _mail_server(setup: Setup) -> Found:
    """Connect, secure the connection and log in, as before each mail."""
    from service.mail.smtp import connected

    server = _settings(setup, worker=True).mail_server
    try:
        with connected(server, SECONDS):
            return ok(f"{server.host}:{server.port} answers")
    except (SMTPException, OSError) as problem:
        return error(
            f"the mail server at {server.host}:{server.port} cannot be used: {problem}",
            "start it, or correct DULY_SMTP_URL",
        )


def _documents(setup: Setup) -> Found:
    """Look for a document that is not there."""
    from obstore.exceptions import BaseError

    from service.documents.store import DocumentMissing, Documents

    own = _settings(setup)
    where = urlsplit(own.documents_url)
    if where.scheme == "file" and not Path(unquote(where.path)).is_dir():
        return warning(
            f"there is no folder {unquote(where.path)}",
            "start an api or a worker, which makes it, or correct DULY_DOCUMENTS_URL",
        )
    try:
        Documents(own.documents_url, own.document_keys).get(f"doctor/{uuid4()}")
    except DocumentMissing as missing:
        if NO_BUCKET not in str(missing.__cause__):
            return ok("it answers")
        return error(f"there is no bucket {where.netloc}", "make it, or correct DULY_DOCUMENTS_URL")
    except (OSError, BaseError) as problem:
        return error(f"it cannot be used: {problem}", "correct DULY_DOCUMENTS_URL, or rights there")
    raise AssertionError("no document has a new name")


def _stripe(setup: Setup) -> Found:
    """Ask for the balance of the account, with the key."""
    import httpx2

    own = _settings(setup, worker=True)
    if not own.stripe_key or not (key := own.stripe_key.get_secret_value()):
        raise Skip("DULY_STRIPE_KEY is not set: nothing can be charged")
    url = own.stripe_url.rstrip("/") + "/v1/balance"
    try:
        answer = httpx2.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=SECONDS)
    except httpx2.TransportError as problem:
        return error(
            f"{own.stripe_url} cannot be reached: {problem}",
            "let the workers reach it, or correct DULY_STRIPE_URL",
        )
    if answer.status_code == httpx2.codes.UNAUTHORIZED:
        return error("Stripe does not accept the key", "correct DULY_STRIPE_KEY")
    if answer.status_code == httpx2.codes.FORBIDDEN:
        raise Skip("the key may not read the balance, which is all that is asked for here")
    if not answer.is_success:
        return error(f"{own.stripe_url} answers {answer.status_code}", "correct DULY_STRIPE_URL")
    return ok(f"{own.stripe_url} answers")


def _settings(setup: Setup, *, worker: bool = False) -> Settings:
    """The service's. Raises Skip where only a worker needs what is looked at."""
    if worker and setup.actors is None:
        raise Skip(ONLY_WORKERS)
    if not isinstance(setup.settings, Settings):
        raise TypeError("these are not the settings of the service")
    return setup.settings


CHECKS = (
    Check("mail-server", "The mail server answers, and takes the login.", _mail_server, PAGE),
    Check("documents", "The document store answers.", _documents, PAGE),
    Check("stripe", "Stripe answers, and takes the key.", _stripe, PAGE),
)
