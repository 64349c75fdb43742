"""Files in responses of the API."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, computed_field


class FileShown(BaseModel):
    """A file. Once `expires_at` is over it is deleted as soon as nothing needs it.

    `expires_at` is null if it is kept until somebody deletes it. `sha256` is null of a file whose
    sum nobody has computed.
    """

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    size: int
    media_type: str
    sha256: str | None
    created_at: datetime
    expires_at: datetime | None

    @computed_field
    def links(self) -> dict[str, str]:
        """Where the file and its bytes are."""
        path = file_path(self.id)
        return {"self": path, "content": f"{path}/content"}


def file_path(file_id: UUID) -> str:
    """The path of the file's URL."""
    return f"/v1/files/{file_id}"
