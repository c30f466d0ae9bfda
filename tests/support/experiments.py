"""Panel experiments that are run here."""

from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from socrates_core.projects.answer_orders import Order
from socrates_core.projects.experiments import MOST
from socrates_core.projects.paraphrases import Paraphrase
from socrates_core.projects.run import run_simulation

BOTH: tuple[Order, ...] = ("as written", "reversed")


def work(n: int = MOST) -> None:
    """Runs at most `n` queued jobs here."""
    for _ in range(n):
        job = store.claim_next()
        if job is None:
            return
        store.finish(job, "done", result=run_simulation(job.id, Reporter(job)))


def worded(name: str, **texts: dict[str, str]) -> Paraphrase:
    return Paraphrase(name=name, **texts)
