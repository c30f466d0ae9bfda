"""What a person should know about the people of a panel before a run: its name, and what makes it a poor population."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from socrates_core.corpus.store import corpora, open_corpus
from socrates_core.errors import UserError
from socrates_core.personas import Person, label
from socrates_core.populations.bands import BANDS, ends_of
from socrates_core.populations.drawn import requested_and_drawn
from socrates_core.populations.panel import PanelSpec, profiles
from socrates_core.records import DEMOGRAPHICS

N_PEOPLE = 50
MOST_NAMED = 3
_CURRENCY = re.compile(
    r"(?:(?P<country>US|American|Australian|Canadian|New Zealand|Hong Kong|Singapore) )?"
    r"(?P<unit>dollars?|euros?|pounds?|yen|yuan|rupees?|pesos?|reais|francs?|kron[ae]r?|won|€|£|¥|₹|\$)",
    re.IGNORECASE,
)


def population_name(spec: PanelSpec) -> str:
    """The population in words: whose people they are, or which fields are described."""
    if spec.kind == "describe":
        fields = ", ".join(label(field) for field in spec.describe)
        return f"Described people ({fields})" if fields else "Described people"
    filters = ", ".join(label(field) for field in spec.filters)
    chosen = f", filtered by {filters}" if filters else ""
    titles = _titles(spec)
    if not titles:
        return f"People of all studies of {spec.corpus}, mixed{chosen}"
    named = ", ".join(f"“{title}”" for title in titles[:MOST_NAMED])
    more = f" and {len(titles) - MOST_NAMED} more" if len(titles) > MOST_NAMED else ""
    whose = "the study" if len(titles) == 1 else f"{len(titles)} studies, mixed:"
    return f"People of {whose} {named}{more}{chosen}"


def describe_population(
    spec: PanelSpec, people: Sequence[Person], pool: pd.DataFrame | None = None
) -> dict[str, Any]:
    """The population for machines: name, sizes, warnings, and the shares requested and drawn.

    `pool` is as in `requested_and_drawn`.
    """
    return {
        "name": population_name(spec),
        "n_people": len(people),
        "n_profiles": len(set(profiles(people))),
        "weighted": spec.is_weighted,
        "warnings": population_warnings(people),
        "shares": requested_and_drawn(spec, people, pool).to_dict("records"),
    }


def default_population(name: str = "starter") -> PanelSpec:
    """Fifty people of one study of a corpus: the one whose people answered most questions about themselves.

    Without the corpus `name` it is the first corpus; without any, or without people who described themselves, the
    record's own default.
    """
    known = corpora()
    if not known:
        return PanelSpec()
    corpus = name if name in known else known[0]
    try:
        people = open_corpus(corpus).participants()
    except UserError:
        return PanelSpec()  # a damaged corpus is reported where the draft is edited
    given = people[list(DEMOGRAPHICS)].notna().sum(axis=1).groupby(people["study_id"]).sum()
    if given.empty or not given.max():
        return PanelSpec()
    study_id = str(given.idxmax())
    n = int((people["study_id"] == study_id).sum())
    return PanelSpec(corpus=corpus, studies=(study_id,), n=min(N_PEOPLE, n))


def population_warnings(people: Sequence[Person]) -> list[str]:
    """What may make the answers of these people mean little, a sentence each."""
    return [*_empty_profiles(people), *_mixed(people), *_missing_fields(people), *_texts_for_numbers(people)]


def _titles(spec: PanelSpec) -> list[str]:
    try:
        corpus = open_corpus(spec.corpus)
        return [corpus.study(study_id).title for study_id in spec.studies]
    except UserError:
        return list(spec.studies)


def _empty_profiles(people: Sequence[Person]) -> Iterator[str]:
    n = sum(not person.demographics for person in people)
    if n == len(people) > 0:
        yield (
            "Nobody here has a profile: every prompt is the same, so this is one answer and not a population. Choose "
            "people with demographics."
        )
    elif n:
        yield (
            f"{n:,} of {len(people):,} people have an empty profile: the prompt says nothing about them. Filter by a "
            "field to leave them out."
        )


def _mixed(people: Sequence[Person]) -> Iterator[str]:
    """People of several studies, and incomes in several currencies."""
    studies = Counter(
        person.source.rsplit("/", 1)[0] for person in people if person.source.count("/") >= 2
    ).most_common()
    if len(studies) > 1:
        named = ", ".join(f"{study.split('/', 1)[1]} ({n:,})" for study, n in studies[:MOST_NAMED])
        more = f" and {len(studies) - MOST_NAMED} more" if len(studies) > MOST_NAMED else ""
        yield (
            f"People of {len(studies)} studies are mixed: {named}{more}. They may come from different countries and "
            "years. Choose one study, or describe people."
        )
    currencies = Counter(
        _currency(str(person.demographics["income"])) for person in people if "income" in person.demographics
    )
    if len(currencies) > 1:
        named = ", ".join(f"{currency} ({n:,})" for currency, n in currencies.most_common())
        yield f"Incomes name different currencies, so countries are probably mixed: {named}."


def _currency(income: str) -> str:
    found = _CURRENCY.search(income)
    if found is None:
        return "none named"
    country = found["country"]
    return f"{country} {found['unit'].lower()}" if country else found["unit"].lower()


def _missing_fields(people: Sequence[Person]) -> Iterator[str]:
    """The fields that only a part of the people who have a profile have."""
    with_profile = [person for person in people if person.demographics]
    counts = Counter(field for person in with_profile for field in person.demographics)
    partly = [(field, n) for field, n in counts.items() if n < len(with_profile)]
    if partly:
        listed = ", ".join(f"{label(field)} ({n:,} of {len(with_profile):,})" for field, n in partly)
        yield (
            f"Some fields are known for a part of the people only: {listed}. Profiles with different fields are hard "
            "to compare."
        )


def _texts_for_numbers(people: Sequence[Person]) -> Iterator[str]:
    for field in BANDS:
        texts = [
            value
            for person in people
            if isinstance(value := person.demographics.get(field), str) and ends_of(value) is None
        ]
        if texts:
            yield (
                f"{label(field)} is a number in training prompts, such as {45 if field == 'age' else 3}, but here "
                f"“{texts[0]}”. Write numbers, or bands such as {BANDS[field][1]}."
            )
