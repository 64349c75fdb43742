"""Images, as the service's list of subjects has them."""

from outbox import Kinds
from service.images.kinds import PROCESS_IMAGE
from service.images.models import Image, ImageVersion
from service.subject import Subject

IMAGES = Subject(
    kinds=Kinds(PROCESS_IMAGE),
    models=(Image, ImageVersion),
    actors="actors.images",
    routes="service.images.routes",
)
