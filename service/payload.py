"""The base of all payloads."""

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """No unknown fields, immutable, no input in error texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
