"""Answers a frozen run and writes its folder."""

from typing import Any

from socrates_core.asking.answer import AnswersSoFar, answer_missing, open_model
from socrates_core.asking.cache import answer_key
from socrates_core.jobs.progress import Reporter
from socrates_core.projects.run_spec import asked_cells, load_spec
from socrates_core.projects.run_tables import PersonAnswer, write_run


def run_simulation(run_id: str, reporter: Reporter) -> dict[str, Any]:
    """Answers every cell of a run and writes its folder; what is answered stays if the run stops."""
    spec = load_spec(run_id)
    cells = list(asked_cells(spec))
    model = open_model(spec.model, reporter, folder=spec.path, limit_usd=spec.allowed_usd())
    keys = [answer_key(model.responder.fingerprint, cell.question) for cell in cells]
    distinct = {key: cell.question for key, cell in zip(keys, cells, strict=True)}

    def write(so_far: AnswersSoFar) -> dict[str, Any]:
        answered = [
            PersonAnswer(cell, so_far.answers.get(key), key in so_far.cached)
            for cell, key in zip(cells, keys, strict=True)
        ]
        return write_run(spec, answered, model, seconds=so_far.seconds)

    manifest = answer_missing(model, distinct.keys(), [distinct], write, reporter, write_meanwhile=True)
    return {name: manifest[name] for name in ("run_id", "n_cells", "n_answered", "n_cached", "seconds")}
