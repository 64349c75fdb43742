"""All handlers of webhooks: endpoints, and what was delivered to them."""

from fastapi import APIRouter

from service.webhooks import delivery_routes, endpoint_routes
from service.webhooks.answer_examples import ANSWERS as ANSWERS

router = APIRouter()
router.include_router(endpoint_routes.router)
router.include_router(delivery_routes.router)
