"""The job of images."""

from datetime import timedelta
from uuid import UUID

from outbox import Key, Kind, Retry
from service.files.keeping import FileMissing
from service.files.references import FileRef
from service.payload import Payload


class ProcessImage(Payload):
    """Make the versions of an image from the file that was sent."""

    image_id: UUID
    file_id: FileRef


PROCESS_IMAGE = Kind(
    "image.process",
    ProcessImage,
    queue="images",
    key=Key(lambda _: "images", at_most=1),  # it takes a whole core: mails need the others
    time_limit=timedelta(minutes=2),
    retry=Retry(attempts=5, never=(FileMissing,)),
    owner="media",
    idempotency="the same bytes by the same names; all rows in one transaction",
)
