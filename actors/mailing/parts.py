"""The parts of a mail that are documents: attachments, and the images that its HTML shows."""

import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from pathlib import PurePosixPath

from sqlalchemy.orm import Session

from service.documents.store import documents
from service.files.keeping import find
from service.mail.kinds import AttachedFile, Attachment, MailRefused

NEVER_BASE64 = ("message", "multipart")
"""Types that must not be in base64 (RFC 2045, 6.4), as attachments are here."""
LARGEST = 35 * 1024 * 1024
"""Bytes of all documents of a mail: with base64 these are 48 MB, and all are in memory at once.
Few mail servers take more than 25 MB."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document in the store, and what the receiver sees of it."""

    name: str
    filename: str
    media_type: str

    def part(self) -> MIMEBase:
        """The document as part of a mail. Raises DocumentMissing."""
        part = MIMEApplication(documents().get(self.name), "octet-stream")
        if self.media_type.partition("/")[0] not in NEVER_BASE64:
            part.replace_header("Content-Type", self.media_type)
        return part

    def attached(self) -> MIMEBase:
        """The document as an attachment."""
        return self._disposed(self.part(), "attachment")

    def shown(self, content_id: str) -> MIMEBase:
        """The document as what the HTML shows as `cid:<content_id>`."""
        part = self.part()
        part.add_header("Content-ID", f"<{content_id}>")
        return self._disposed(part, "inline")

    def _disposed(self, part: MIMEBase, how: str) -> MIMEBase:
        """A name that is not ASCII is written as in RFC 2231."""
        is_ascii = self.filename.isascii()
        filename = self.filename if is_ascii else ("utf-8", "", self.filename)
        part.add_header("Content-Disposition", how, filename=filename)
        return part


def document(of: Attachment, session: Session) -> Document:
    """Where the document is. Raises FileMissing."""
    if isinstance(of, AttachedFile):
        file = find(session, of.file)
        return Document(file.name, of.filename, file.media_type or "application/octet-stream")
    guessed = mimetypes.guess_type(of)[0]
    return Document(of, PurePosixPath(of).name, guessed or "application/octet-stream")


def check_size(given: Iterable[Document]) -> None:
    """Raise MailRefused if they are too large for any mail. Raises DocumentMissing."""
    if (size := sum(documents().size(each.name) for each in given)) > LARGEST:
        raise MailRefused(f"attachments and images have {size:,} bytes, of {LARGEST:,} at most")
