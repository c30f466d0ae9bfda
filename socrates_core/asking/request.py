"""A request to a model: which one answers, and how."""

from dataclasses import dataclass
from typing import Any

from socrates_core.models import is_served
from socrates_core.models.served.server import Service
from socrates_core.records import Decoding, Precision


@dataclass(frozen=True)
class ModelRequest:
    """Which model answers and how. `service` is where and how a served model is asked; None for other models."""

    name: str
    precision: Precision = "auto"
    decoding: Decoding = "exact"
    deterministic: bool = False
    service: Service | None = None

    def __post_init__(self) -> None:
        """Accepts the service as a stored mapping too. Raises UserError if it cannot be used."""
        given = Service(**self.service) if isinstance(self.service, dict) else self.service
        service = (given or Service()) if is_served(self.name) else None
        object.__setattr__(self, "service", service)

    def as_dict(self) -> dict[str, Any]:
        """As JSON. What is off or empty is left out, so that digests of earlier requests stay what they are."""
        written = {name: value for name, value in vars(self).items() if name != "deterministic" or value}
        service = written.pop("service")
        return {**written, **({"service": service.as_dict()} if service else {})}
