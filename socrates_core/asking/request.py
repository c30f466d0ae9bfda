"""A request to a model: which one answers, and how."""

from dataclasses import dataclass
from typing import Any

from socrates_core.models import is_served
from socrates_core.models.served.server import Service
from socrates_core.records import Decoding, Precision


@dataclass(frozen=True)
class ModelRequest:
    """Which model should answer and how; `service` says where and how a served model is asked, else it is None."""

    name: str
    precision: Precision = "auto"
    decoding: Decoding = "exact"
    deterministic: bool = False
    service: Service | None = None

    def __post_init__(self) -> None:
        """Takes the service as it is stored too. Raises UserError where it is unusable."""
        given = Service(**self.service) if isinstance(self.service, dict) else self.service
        service = (given or Service()) if is_served(self.name) else None
        object.__setattr__(self, "service", service)

    def as_dict(self) -> dict[str, Any]:
        told = {name: value for name, value in vars(self).items() if name != "deterministic" or value}
        service = told.pop("service")
        return {**told, **({"service": service.as_dict()} if service else {})}
