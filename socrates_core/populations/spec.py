"""Who is asked, as a record: people sampled from studies, or people drawn from described shares."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PanelSpec(BaseModel):
    """Who answers: people sampled from corpora, or people drawn from described shares."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)

    kind: Literal["sample", "describe"] = "sample"
    corpus: str = "starter"
    studies: tuple[str, ...] = ()
    filters: dict[str, list[str] | tuple[int, int]] = Field(default_factory=dict)
    describe: dict[str, dict[str, float]] = Field(default_factory=dict)
    n: int = 50
    seed: int = 0
