"""Learning curves as finetunes: the same training on growing shares of the people."""

from collections.abc import Sequence

from socrates_core.errors import UserError
from socrates_core.finetuning.rows import choose_rows
from socrates_core.finetuning.spec import TrainingSpec, spec_from_dict
from socrates_core.finetuning.submission import check_name, submit_training
from socrates_core.jobs.store import Job

SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)  # the usual ones


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


def render_shares(shares: Sequence[float]) -> str:
    """The shares in percent with commas between them, as `parse_shares` takes them."""
    return ",".join(f"{100 * share:g}" for share in shares)


def curve_names(name: str, shares: Sequence[float]) -> list[str]:
    """What the finetunes of a curve are called, one a share, as "mine-10"; without shares there is one, `name`."""
    return [f"{name}-{100 * share:g}" for share in shares] or [name]


def check_names(name: str, shares: Sequence[float]) -> None:
    """Raises UserError where one of the names of `curve_names` is taken."""
    for each in curve_names(name, shares):
        check_name(each)


def submit_curve(spec: TrainingSpec, shares: Sequence[float], *, evaluate: bool = False) -> list[Job]:
    """Queues one finetune a share in (0, 1] of the people, the smallest first, named as `curve_names` says.

    Everything else is that of `spec`; with `evaluate` each is evaluated as `submit_training` does. Raises UserError
    without shares, where a name is taken, or as `submit_training` does.
    """
    if not shares:
        raise UserError("A learning curve needs a share of the people. Give one or more.")
    wanted = sorted(set(shares))
    asked = [
        {"name": name, "people_share": share}
        for name, share in zip(curve_names(spec.name, wanted), wanted, strict=True)
    ]
    specs = [spec_from_dict(spec.model_dump() | each, f"The finetune {each['name']!r}") for each in asked]
    check_names(spec.name, wanted)  # before any is queued
    for each in specs:
        choose_rows(each)
    return [submit_training(each, evaluate=evaluate) for each in specs]
