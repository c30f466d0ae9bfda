"""What work would send to a model's server, and the permission that a person on this machine gave for it.

A permission lies in the folder of its work and is marked with this home's key. It holds for one piece of work alone:
who is asked, the server, the variable with the key, every question, and the spending limit. Archives carry none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.queries import Corpus
from socrates_core.errors import UserError
from socrates_core.files import digest, read_json, write_json
from socrates_core.home_key import is_marked, mark_of
from socrates_core.jobs.store import now
from socrates_core.models.served.account import Account
from socrates_core.models.served.prices import find_price
from socrates_core.models.served.server import Service, served_model
from socrates_core.personas import Person, label
from socrates_core.records import DEMOGRAPHICS

PERMISSION = "permission.json"


@dataclass(frozen=True)
class Sending:
    """The `n_questions` that go to `host`, and whose profiles are in them.

    `n_participants` of the `n_people` are real participants, the others are described. `fields` are those of
    profiles.
    """

    model: str
    host: str
    n_questions: int
    n_people: int
    n_participants: int
    fields: tuple[str, ...]
    texts: str = "the draft's texts"

    @property
    def sentence(self) -> str:
        """What is sent where, in one sentence."""
        described = self.n_people - self.n_participants
        people = [f"{self.n_participants:,} real participants"] if self.n_participants else []
        people += [f"{described:,} described people"] if described else []
        fields = ", ".join(label(field).lower() for field in self.fields)
        return (
            f"{self.n_questions:,} questions leave this machine for {self.model} at {self.host}: {self.texts} "
            f"with the profiles of {' and '.join(people)} ({fields or 'without any field'})."
        )


def what_is_sent(
    name: str, service: Service | None, people: Sequence[Person], n_questions: int
) -> Sending | None:
    """What a run sends to another machine; None where everything stays on this one.

    A panel of described people needs consent too: it holds no participant's row, but the texts may be unpublished.
    """
    if service is None or service.is_loopback:
        return None
    fields = dict.fromkeys(field for person in people for field in person.demographics)
    n_participants = sum(person.source != "described" for person in people)
    return Sending(name, service.host, n_questions, len(people), n_participants, tuple(fields))


def participants_sent(
    model: ModelRequest, corpus: Corpus, rows: pd.DataFrame, texts: str = "the studies' texts"
) -> Sending | None:
    """What asking a question for each of `rows` sends to another machine; None where everything stays on this one.

    `rows` have the columns study_id and participant of `corpus`; `texts` names what goes with their profiles.
    """
    service = model.service
    if service is None or service.is_loopback:
        return None
    n_people = len(rows[["study_id", "participant"]].drop_duplicates())
    people = corpus.participants(sorted(rows["study_id"].unique()))
    fields = tuple(field for field in DEMOGRAPHICS if people[field].notna().any())
    return Sending(model.name, service.host, len(rows), n_people, n_people, fields, texts)


def permit(
    work_id: str,
    content: str,
    model: ModelRequest,
    sending: Sending | None,
    *,
    consent: bool,
    limit_usd: float | None = None,
) -> dict[str, Any] | None:
    """The permission to ask `model` what has the digest `content`, as a record; None where no server is asked.

    Call it only for what a person on this machine asks for now. Raises UserError where questions would leave this
    machine without `consent`, the named variable may not hold a server's key, or a limit has no price to go by.
    """
    service = model.service
    if service is None:
        return None
    # `read_key` checks this too, but in the worker; here the person who asks still sees it.
    service.check_key_variable()
    if sending is not None and not consent:
        raise UserError(
            f"{sending.sentence} Nothing was sent. If that is allowed, say so for this run: --consent"
        )
    if limit_usd is not None:
        Account(find_price(service, served_model(model.name)), limit_usd=limit_usd)
    record = {
        "given": now(),
        "host": service.host,
        "n_questions": sending.n_questions if sending else None,
        "n_people": sending.n_people if sending else None,
        "limit_usd": limit_usd,
    }
    return {**record, "mark": mark_of(_marked(work_id, content, service, record))}


def check_permission(
    record: Mapping[str, Any] | None, work_id: str, content: str, service: Service | None
) -> float | None:
    """The spending limit in dollars of a permission for exactly this work; None without a limit, or without a server.

    Raises UserError if nobody on this machine allowed the work: it was imported, or changed since.
    """
    if service is None:
        return None
    given = {key: value for key, value in (record or {}).items() if key != "mark"}
    if not is_marked(_marked(work_id, content, service, given), (record or {}).get("mark")):
        raise UserError(
            f"Nobody on this machine has allowed {work_id!r} to ask {service.host}: it was imported, or changed since. "
            "Nothing was sent. Start it again from here, which says what is sent."
        )
    limit_usd = given.get("limit_usd")
    return None if limit_usd is None else float(limit_usd)


def write_permission(folder: Path, record: Mapping[str, Any] | None) -> None:
    """Keeps a permission in the folder of its work."""
    if record is not None:
        write_json(folder / PERMISSION, record)


def read_permission(folder: Path) -> dict[str, Any] | None:
    """The permission in the folder of some work; None without a readable one."""
    try:
        stored = read_json(folder / PERMISSION)
    except UserError:
        return None
    return stored if isinstance(stored, dict) else None


def _marked(work_id: str, content: str, service: Service, record: Mapping[str, Any]) -> str:
    return digest([work_id, content, service.as_dict(), dict(record)])
