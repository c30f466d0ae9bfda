"""Learning curves as finetunes: the same training on growing shares of the people."""

from collections.abc import Sequence

from socrates_core.errors import UserError
from socrates_core.finetuning.spec import TrainingSpec, spec_from_dict
from socrates_core.finetuning.submission import check_name, submit_training
from socrates_core.jobs.store import Job


def parse_shares(text: str) -> tuple[float, ...]:
    """The shares in (0, 1] that "1,3,10" names in percent, from the smallest. Raises UserError for anything else."""
    try:
        percents = sorted({float(each) for each in text.split(",")})
    except ValueError:
        percents = []
    if not percents or not all(0 < each <= 100 for each in percents):
        raise UserError(
            f"The shares {text!r} are no percentages of people. Give numbers over 0 and up to 100 with commas between "
            "them, such as 1,3,10,30,100."
        )
    return tuple(each / 100 for each in percents)


def submit_curve(spec: TrainingSpec, shares: Sequence[float]) -> list[Job]:
    """Queues one finetune a share in (0, 1] of the people, named after `spec` and its percent, as "mine-10".

    Everything else is that of `spec`. Raises UserError without shares, where a name is taken, or as
    `submit_training` does.
    """
    if not shares:
        raise UserError("A learning curve needs a share of the people. Give one or more.")
    asked = [{"name": f"{spec.name}-{100 * share:g}", "people_share": share} for share in sorted(set(shares))]
    specs = [spec_from_dict(spec.model_dump() | each, f"The finetune {each['name']!r}") for each in asked]
    for each in specs:  # before any is queued
        check_name(each.name)
    return [submit_training(each) for each in specs]
