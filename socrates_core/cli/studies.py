"""Commands that read: studies, study, scale, read, prompt."""

from typing import Annotated

import typer

from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.corpus.store import corpora, find_study, open_corpus
from socrates_core.errors import UserError, unknown
from socrates_core.prompts import render_prompt
from socrates_core.scales import parse_scale, read_answer
from socrates_core.studies.answers import study_overview

Corpus = Annotated[str | None, typer.Option(help="Look in this corpus alone.")]


def studies(as_json: AsJson = False) -> None:
    """List every study of every corpus; what is wrong with one that is damaged goes to standard error."""
    rows = []
    for name in corpora():
        try:
            found = open_corpus(name).studies().to_dict("records")
        except UserError as error:
            say(str(error))
            continue
        rows += [{"corpus": name, **{str(key): value for key, value in row.items()}} for row in found]
    if as_json:
        return print_json([{k: list(v) if hasattr(v, "tolist") else v for k, v in r.items()} for r in rows])
    columns = ["study_id", "title", "corpus", "n_participants", "n_conditions", "n_outcomes", "design"]
    print_table(rows, columns, "There are no studies yet. Run: python -m socrates_core setup")


def study(
    study_id: str,
    corpus: Corpus = None,
    reference: Annotated[int | None, typer.Option(help="Number of the condition to compare with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a study's conditions, outcomes, cells and effects."""
    overview = study_overview(find_study(study_id, corpus), study_id, reference)
    if as_json:
        return print_json(overview)
    print(
        f"{overview['title']}\n{overview['source']}\nWording: {overview['wording']} · {overview['design']}\n"
    )
    print_table(
        overview["cells"], ["condition_num", "task_num", "condition", "outcome", "n", "n_off_scale"], ""
    )
    print("\nEffects against the reference, with 95% intervals")
    columns = ["outcome", "condition", "reference", "difference", "low", "high", "n", "n_reference"]
    print_table(
        overview["effects"],
        columns,
        "No difference of means: one condition, or nothing that can be compared.",
    )
    for note in dict.fromkeys(effect["note"] for effect in overview["effects"] if effect["note"]):
        print(note)
    if overview["option_effects"]:
        print("\nShares of options without an order, condition minus reference, in percentage points")
        options = [
            {
                "outcome": each["outcome"],
                "condition": each["condition"],
                "option": option["label"] or option["value"],
                **{name: f"{100 * option[name]:.1f}" for name in ("difference", "low", "high")},
            }
            for each in overview["option_effects"]
            for option in each["options"]
        ]
        print_table(options, list(options[0]), "")
    for each in overview["not_compared"]:
        print(
            f"{each['outcome']}: {each['condition']} is not compared with {each['reference']}. {each['reason']}"
        )
    for note in overview["notes"]:
        print(f"- {note}")


def scale(text: str, as_json: AsJson = False) -> None:
    """Read the answer scale of an instruction or a whole stimulus."""
    found = parse_scale(text)
    if found is None:
        raise UserError(
            f"No answer scale was found in {text[-120:]!r}. "
            "Write for example 'Only return an integer from 1 to 7, nothing else.'"
        )
    if as_json:
        return print_json({**found.as_dict(), "values": list(found.values)})
    ends = f"from {found.low} to {found.high}, step {found.step}" if found.values else "open"
    print(f"{found.kind}: {ends}, {len(found.values)} values")
    for value, label in found.labels:
        print(f"  {value} = {label}")


def read(
    answer: str,
    instruction: Annotated[str, typer.Option(help="The response instruction or the whole stimulus.")],
    as_json: AsJson = False,
) -> None:
    """Say what a raw text answer means on a scale."""
    found = parse_scale(instruction)
    if found is None:
        raise UserError(f"No answer scale was found in the instruction {instruction[-120:]!r}.")
    reading = read_answer(answer, found)
    if as_json:
        return print_json({"value": reading.value, "reason": reading.reason})
    print(f"{'missing' if reading.value is None else reading.value} ({reading.reason})")


def prompt(
    study_id: Annotated[str, typer.Option("--study")],
    condition: Annotated[int, typer.Option(help="condition_num")],
    task: Annotated[int, typer.Option(help="task_num")],
    participant: Annotated[int, typer.Option()],
    corpus: Corpus = None,
    as_json: AsJson = False,
) -> None:
    """Show the exact messages that a model gets for one person and one cell."""
    found = find_study(study_id, corpus)
    stimuli = [s for s in found.stimuli(study_id) if (s.condition_num, s.task_num) == (condition, task)]
    if not stimuli:
        pairs = sorted({f"{s.condition_num}/{s.task_num}" for s in found.stimuli(study_id)})
        raise unknown("cell (condition/task)", f"{condition}/{task}", pairs)
    person = found.participant(study_id, participant)
    rendered = render_prompt(person.demographics, stimuli[0].stimulus)
    if as_json:
        return print_json(rendered.messages())
    print(f"[system]\n{rendered.system}\n\n[user]\n{rendered.user}")
