"""The jobs that follow a finetune: its evaluation, and finetunes on smaller shares of people."""

from dataclasses import dataclass

import streamlit as st

from socrates_core.finetuning.learning_curve import SHARES, render_shares, submit_curve
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.finetuning.submission import submit_training
from socrates_core.jobs.store import Job

SMALLER = ", ".join(f"{100 * share:g}" for share in SHARES if share < 1)


@dataclass(frozen=True)
class Plan:
    """Whether the finetune is evaluated afterwards, and the shares of people of its learning curve, if it has one."""

    evaluate: bool
    shares: tuple[float, ...]

    @property
    def options(self) -> str:
        """The same as options of the command `train`."""
        curve = f" --shares {render_shares(self.shares)}" if self.shares else ""
        return f"{curve}{' --evaluate' if self.evaluate else ''}"

    def submit(self, spec: TrainingSpec) -> list[Job]:
        """Queues the finetune, or all finetunes of its curve. Raises UserError as `submit_training` does."""
        if self.shares:
            return submit_curve(spec, self.shares, evaluate=self.evaluate)
        return [submit_training(spec, evaluate=self.evaluate)]


def choose_plan() -> Plan:
    """Two switches, which are in the link."""
    evaluate = st.toggle(
        "Evaluate on what is held out afterwards",
        key="evaluate",
        bind="query-params",
        wrap=True,
        help="Its base and the new model answer as the people of the split's held-out side, two jobs after this one; "
        "Evidence shows them side by side. It is left out where the finetune fails.",
    )
    curve = st.toggle(
        f"Learning curve: also train on {SMALLER}% of the people",
        key="curve",
        bind="query-params",
        wrap=True,
        help=f"{len(SHARES)} finetunes one after another, named after this one and their percent. Evaluated, they "
        "stand as a curve under Evidence, Finetunes. They take the place of the expert setting “Share of the people”.",
    )
    return Plan(evaluate, SHARES if curve else ())
