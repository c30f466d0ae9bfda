"""An evaluation that has answers, read from its folder."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from socrates_core.asking.manifest import job_state, load_manifest
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.cells import EvaluatedCell, cells_of
from socrates_core.evaluations.spec import EvaluationSpec, evaluation_ids, load_spec
from socrates_core.files import read_json, read_parquet
from socrates_core.scoring.versions import wrong_answers

FACTS = ("card", "n_rows", "n_answered", "state", "seconds")  # in every manifest


@dataclass(frozen=True)
class Evaluation:
    """An evaluation on disk. Its table is read when it is first needed."""

    spec: EvaluationSpec
    manifest: dict[str, Any]

    @property
    def id(self) -> str:
        return self.spec.evaluation_id

    @property
    def model(self) -> str:
        """The model's name with what else decided its answers, so that the stand-in "uniform" is no baseline."""
        card = self.manifest["card"]
        decoding = f", {card['decoding']} decoding" if card["decoding"] != "exact" else ""
        kind = "stand-in" if card["precision"] == "none" else card["precision"]
        return f"{card['name']} ({kind}{decoding})"

    @property
    def outdated(self) -> str:
        """What may be wrong with its answers, if an earlier version of our scoring gave them; else ""."""
        return wrong_answers(self.manifest["card"])

    @property
    def partial(self) -> bool:
        return bool(self.manifest["state"] != "complete")

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of `rows.asked_rows` with values, probabilities, mean, valid_mass and drawn."""
        table: pd.DataFrame = read_parquet(self.spec.path / "rows.parquet").to_pandas()
        return table

    @cached_property
    def cells(self) -> list[EvaluatedCell]:
        return cells_of(open_corpus(self.spec.corpus), self.rows)


def load_evaluation(evaluation_id: str) -> Evaluation:
    """An evaluation that has answers. Raises UserError if it is unknown, damaged or has none yet."""
    spec = load_spec(evaluation_id)
    manifest = load_manifest(
        spec.path,
        "evaluation",
        evaluation_id,
        content=spec.content_digest(),
        facts=FACTS,
        again="Evaluate again.",
    )
    return Evaluation(spec, manifest)


def complete_specs() -> list[EvaluationSpec]:
    """The specs of complete evaluations, the newest first."""
    return [load_spec(row["evaluation_id"]) for row in list_evaluations() if row["state"] == "complete"]


def list_evaluations() -> list[dict[str, Any]]:
    """Every evaluation, the newest first. A damaged one has the state "damaged"."""
    rows: list[dict[str, Any]] = []
    for evaluation_id in evaluation_ids():
        try:
            spec = load_spec(evaluation_id)
            there = (spec.path / "manifest.json").exists()
            manifest = read_json(spec.path / "manifest.json") if there else {}
            state = manifest.get("state") or job_state(evaluation_id)
        except (UserError, AttributeError) as error:
            rows.append({"evaluation_id": evaluation_id, "state": "damaged", "model": "", "on": str(error)})
            continue
        rows.append(
            {
                "evaluation_id": evaluation_id,
                "model": spec.model.name,
                "corpus": spec.corpus,
                "on": spec.split or ", ".join(spec.studies),
                "cap": spec.cap,
                "state": state,
                "created": spec.created,
                "sample": spec.sample_digest(),
                **{name: manifest.get(name) for name in ("n_rows", "n_answered", "seconds")},
            }
        )
    return rows
