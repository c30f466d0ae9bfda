"""What a run would send to another machine, said before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from socrates_core.jobs.store import now
from socrates_core.panels import Person
from socrates_core.personas import label
from socrates_core.responders.api.server import Service


@dataclass(frozen=True)
class Sending:
    """The `n_questions` that go to `host`, and whose profiles are in them.

    `n_participants` of the people are real ones, whose `fields` are sent; the others were described.
    """

    model: str
    host: str
    n_questions: int
    n_people: int
    n_participants: int
    fields: tuple[str, ...]
    texts: str = "the draft's texts"

    @property
    def told(self) -> str:
        """All of it in one sentence."""
        described = self.n_people - self.n_participants
        people = [f"{self.n_participants:,} real participants"] if self.n_participants else []
        people += [f"{described:,} described people"] if described else []
        fields = ", ".join(label(field).lower() for field in self.fields)
        return (
            f"{self.n_questions:,} questions leave this machine for {self.model} at {self.host}: {self.texts} "
            f"with the profiles of {' and '.join(people)} ({fields or 'without any field'})."
        )

    def record(self) -> dict[str, Any]:
        """The consent to exactly this, for the run's spec."""
        return {"given": now(), "host": self.host, "n_questions": self.n_questions, "n_people": self.n_people}


def what_is_sent(
    name: str, service: Service | None, people: Sequence[Person], n_questions: int
) -> Sending | None:
    """What a run sends to another machine; None where everything stays on this one.

    A panel of described people needs consent as well: no participant's row is in it, but unpublished texts are.
    """
    if service is None or service.is_loopback:
        return None
    fields = dict.fromkeys(field for person in people for field in person.demographics)
    n_participants = sum(person.source != "described" for person in people)
    return Sending(name, service.host, n_questions, len(people), n_participants, tuple(fields))
