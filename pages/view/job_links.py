"""Where a job leads: the page that shows what it made."""

from dataclasses import dataclass, field

from pages.view.state import PAGES
from socrates_core.jobs import store
from socrates_core.jobs.store import Job


@dataclass(frozen=True)
class JobLink:
    """A page with its parameters, and the label and icon of a link to it."""

    page: str
    label: str
    icon: str
    parameters: dict[str, str] = field(default_factory=dict)


def link_of(job: Job) -> JobLink | None:
    """The page that shows the job's result; None without such a page."""
    done = job.state == "done"
    if job.kind == "simulate":
        return JobLink(PAGES.results, "Open the results", "bar_chart", {"run": str(job.args["run_id"])})
    if job.kind == "train":
        linked = {"trainings": str(job.args["training_id"])}
        return JobLink(PAGES.finetunes, "Open the finetune", "show_chart", linked)
    if job.kind == "evaluate" and job.state != "queued":
        linked = {"evaluations": str(job.args["evaluation_id"])}
        return JobLink(PAGES.compare, "Open the evidence", "verified", linked)
    if job.kind == "import" and done and "upload_id" in job.args:
        result = store.read_result(job)
        linked = {"corpus": str(result["corpus"]), "study": str(result["study_id"])}
        return JobLink(PAGES.study, "Open the study", "experiment", linked)
    if job.kind in ("merge", "fetch") and done:
        return JobLink(PAGES.models, "Open the models", "smart_toy")
    return None
