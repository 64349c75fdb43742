"""An invoice is charged once, though the provider's answer is lost."""

from typing import Any

from dev.demo.stage import Stage
from dev.demo.telling import tell, title

CARD = {"payment_method": "pm_card_visa"}


def show(stage: Stage, invoice: dict[str, Any]) -> None:
    """Charge it, and show the provider's own book."""
    title("The invoice is charged, and the provider's answer is lost on its way back")
    stage.stripe.post("/_/faults", json={"confirm": ["lose-answer"]}).raise_for_status()
    payment = stage.post(f"{invoice['links']['self']}/charge", CARD)
    stage.follow(payment["job"]["id"])
    payment = stage.get(payment["links"]["self"])
    tell(f"the payment has {payment['state']}: {payment['amount']} {payment['currency']}")
    moved = stage.stripe.get("/_/book").raise_for_status().json()["movements"]
    charged = [each["amount"] for each in moved if each["invoice"] == invoice["id"]]
    tell(f"the provider's own book has one charge of this invoice: {charged} cents")
