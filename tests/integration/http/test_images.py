"""Images over HTTP: what was sent becomes a row and a job, and its versions are served."""

from datetime import timedelta
from io import BytesIO
from uuid import UUID, uuid4

import httpx2
from PIL import Image as Pixels
from sqlalchemy.orm import Session

from service.documents.store import Documents
from service.files.keeping import keep
from service.images.models import Image, ImageVersion
from service.settings import Settings

PNG = {"Content-Type": "image/png"}


def picture() -> bytes:
    content = BytesIO()
    Pixels.new("RGB", (30, 20)).save(content, "PNG")
    return content.getvalue()


def test_an_image_is_sent_and_waits_for_its_job(lasting_client: httpx2.Client) -> None:
    made = lasting_client.post("/v1/images", content=picture(), headers=PNG)
    image = made.json()
    assert (made.status_code, made.headers["location"]) == (201, image["links"]["self"])
    assert (image["state"], image["versions"]) == ("waiting", [])
    assert [job["kind"] for job in image["jobs"]] == ["image.process"]
    got = lasting_client.get(made.headers["location"]).json()
    assert {**got, "jobs": []} == {**image, "jobs": []}
    early = lasting_client.get(f"{made.headers['location']}/small.webp")
    assert (early.status_code, early.headers["retry-after"]) == (404, "1")
    [job] = got["jobs"]
    file_id = lasting_client.get(f"/v1/jobs/{job['id']}").json()["payload"]["file_id"]
    assert lasting_client.delete(f"/v1/files/{file_id}").status_code == 409


def test_an_image_is_made_of_a_file(lasting_client: httpx2.Client) -> None:
    file = lasting_client.post("/v1/files", content=picture(), headers=PNG).json()
    made = lasting_client.post(f"/v1/files/{file['id']}/image")
    assert made.status_code == 201
    missing = lasting_client.post(f"/v1/files/{uuid4()}/image")
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/not-found")


def test_an_image_is_smaller_than_a_file_may_be(lasting_client: httpx2.Client) -> None:
    refused = lasting_client.post("/v1/images", content=bytes(64_000_001), headers=PNG)
    assert refused.status_code == 413


def test_versions_are_served_until_the_image_is_deleted(
    client: httpx2.Client, session: Session, settings: Settings
) -> None:
    image_id = ready(session, settings)
    path = f"/v1/images/{image_id}"
    [version] = client.get(path).json()["versions"]
    assert version == {
        "size": "small",
        "format": "webp",
        "width": 20,
        "height": 10,
        "bytes": 3,
        "link": f"{path}/small.webp",
    }
    got = client.get(version["link"])
    assert (got.content, got.headers["content-type"]) == (b"abc", "image/webp")
    assert client.get(f"{path}/small.avif").status_code == 404
    assert client.get(f"{path}/tiny.webp").status_code == 422
    file = session.get_one(ImageVersion, (image_id, "small", "webp")).file_id
    assert client.delete(f"/v1/files/{file}").status_code == 409
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == client.delete(path).status_code == 404
    assert client.delete(f"/v1/files/{file}").status_code == 204


def ready(session: Session, settings: Settings) -> UUID:
    """An image with one version, as its job leaves it."""
    Documents(settings.documents_url).put("images/x/small.webp", b"abc")
    session.add(image := Image(state="ready", width=20, height=10))
    session.flush()
    told = {"size": 3, "media_type": "image/webp", "used_by": image.subject}
    file = keep(session, "images/x/small.webp", expires_in=timedelta(), **told)  # type: ignore[arg-type]
    shape = {"size": "small", "format": "webp", "width": 20, "height": 10}
    image.versions.append(ImageVersion(file_id=file.id, **shape))
    session.commit()
    return image.id


def test_a_refused_image_says_why(client: httpx2.Client, session: Session) -> None:
    session.add(image := Image(state="refused", why="it is none"))
    session.commit()
    path = f"/v1/images/{image.id}"
    assert client.get(path).json()["why"] == "it is none"
    answer = client.get(f"{path}/small.webp")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
    assert "it is none" in answer.json()["detail"]
