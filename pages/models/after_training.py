"""What is queued with a finetune: its evaluation afterwards, and the same on smaller shares of the people."""

from dataclasses import dataclass

import streamlit as st

from pages.models import finetune_form
from pages.view import state
from socrates_core.finetuning.learning_curve import SHARES, render_shares, submit_curve
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.finetuning.submission import submit_training
from socrates_core.jobs.store import Job

SMALLER = ", ".join(f"{100 * share:g}" for share in SHARES if share < 1)


@dataclass(frozen=True)
class Plan:
    """Whether it is evaluated afterwards, and the shares of people of a learning curve; none without one."""

    evaluate: bool
    shares: tuple[float, ...]

    @property
    def options(self) -> str:
        """How the command `train` is told so."""
        curve = f" --shares {render_shares(self.shares)}" if self.shares else ""
        return f"{curve}{' --evaluate' if self.evaluate else ''}"

    def submit(self, spec: TrainingSpec) -> list[Job]:
        """Queues the finetune, or those of its curve. Raises UserError as `submit_training` does."""
        if self.shares:
            return submit_curve(spec, self.shares, evaluate=self.evaluate)
        return [submit_training(spec, evaluate=self.evaluate)]


def choose_plan() -> Plan:
    """Draws both switches, which the link keeps."""
    evaluate = _switch(
        "Evaluate on what is held out afterwards",
        "evaluate",
        "Its base and the new model answer as the people of the split's held-out side, two jobs after this one; "
        "Compare shows them side by side. It is left out where the finetune fails.",
    )
    curve = _switch(
        f"Learning curve: also train on {SMALLER}% of the people",
        "curve",
        f"{len(SHARES)} finetunes one after another, named after this one and their percent. Evaluated, they stand as "
        "a curve under Compare, Finetunes. They take the place of the expert setting “Share of the people”.",
    )
    return Plan(evaluate, SHARES if curve else ())


def _switch(label: str, name: str, note: str) -> bool:
    key = f"train:{name}"
    state.follow_link(key, state.parameter(name) == "true")
    chosen = st.toggle(label, key=key, wrap=True, help=note)
    state.note_link(key, chosen)
    finetune_form.link(name, str(chosen).lower(), "false")
    return chosen
