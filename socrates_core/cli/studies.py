"""Commands about people's answers and their scales: studies, study, scale, read, prompt, set-scale."""

from typing import Annotated

import typer

from socrates_core.cli.options import AsJson, Corpus
from socrates_core.cli.output import print_json, print_result, print_table, say
from socrates_core.corpus.scale_overrides import clear_scale, set_scale
from socrates_core.corpus.store import corpora, find_study, open_corpus
from socrates_core.errors import UserError, unknown
from socrates_core.prompts import render_prompt
from socrates_core.scales import parse_scale, read_answer, render_instruction
from socrates_core.studies.answers import study_overview
from socrates_core.studies.factors import people_factor_effects
from socrates_core.studies.overview import read_overview


def studies(as_json: AsJson = False) -> None:
    """List every study of every corpus. The problem of a damaged corpus goes to standard error."""
    rows = []
    for name in corpora():
        try:
            table = open_corpus(name).studies().to_dict("records")
        except UserError as error:
            say(str(error))
            continue
        rows += [{"corpus": name, **{str(key): value for key, value in row.items()}} for row in table]
    if as_json:
        return print_json(
            [
                {key: list(value) if hasattr(value, "tolist") else value for key, value in row.items()}
                for row in rows
            ]
        )
    columns = ["study_id", "title", "corpus", "n_participants", "n_conditions", "n_outcomes", "design"]
    print_table(rows, columns, "There are no studies yet. Run: python -m socrates_core setup")


def study(
    study_id: str,
    corpus: Corpus = None,
    reference: Annotated[int | None, typer.Option(help="Number of the condition to compare with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a study's conditions, outcomes, cells and effects."""
    source = find_study(study_id, corpus)
    overview = study_overview(source, study_id, reference)
    summary = read_overview(source, study_id)
    crossed = [effect.as_dict() for effect in people_factor_effects(source, study_id, reference)]
    if as_json:
        return print_json({**overview, "overview": summary.as_dict(), "factor_effects": crossed})
    print(
        f"{overview['title']}\n{summary.sentence}\n{overview['source']}\n"
        f"Wording: {overview['wording']} · {overview['design']}\n{overview['assignment']['sentence']}"
    )
    if summary.worked_out:
        print(f"Worked out, not stated by the source: {', '.join(summary.worked_out)}.")
    print()
    print_table(
        overview["cells"], ["condition_num", "task_num", "condition", "outcome", "n", "n_off_scale"], ""
    )
    print("\nEffects compared with the reference, with 95% intervals")
    print_table(
        overview["effects"],
        ["outcome", "condition", "reference", "difference", "low", "high", "n", "n_reference"],
        "No difference of means: there is one condition, or nothing that can be compared.",
    )
    for note in dict.fromkeys(effect["note"] for effect in overview["effects"] if effect["note"]):
        print(note)
    if overview["option_effects"]:
        print("\nShares of options without an order, condition minus reference, in percentage points")
        options = [
            {
                "outcome": effect["outcome"],
                "condition": effect["condition"],
                "option": option["label"] or option["value"],
                **{name: f"{100 * option[name]:.1f}" for name in ("difference", "low", "high")},
            }
            for effect in overview["option_effects"]
            for option in effect["options"]
        ]
        print_table(options, list(options[0]), "")
    if crossed:
        print("\nMain effects and interactions, with 95% intervals")
        print_table(crossed, ["outcome", "contrast", "estimate", "low", "high", "p_holm", "n"], "")
        for note in dict.fromkeys(effect["note"] for effect in crossed if effect["note"]):
            print(note)
    for pair in overview["not_compared"]:
        print(
            f"{pair['outcome']}: {pair['condition']} is not compared with {pair['reference']}. {pair['reason']}"
        )
    for note in overview["notes"]:
        print(f"- {note}")


def scale(text: str, as_json: AsJson = False) -> None:
    """Read the answer scale of an instruction or a whole stimulus."""
    parsed = parse_scale(text)
    if parsed is None:
        raise UserError(
            f"No answer scale was found in {text[-120:]!r}. "
            "Write for example 'Only return an integer from 1 to 7, nothing else.'"
        )
    if as_json:
        return print_json({**parsed.as_dict(), "values": list(parsed.values)})
    ends = f"from {parsed.low} to {parsed.high}, step {parsed.step}" if parsed.values else "open"
    print(f"{parsed.kind}: {ends}, {len(parsed.values)} values")
    for value, label in parsed.labels:
        print(f"  {value} = {label}")


def read(
    answer: str,
    instruction: Annotated[str, typer.Option(help="The response instruction or the whole stimulus.")],
    as_json: AsJson = False,
) -> None:
    """Say what a raw text answer means on a scale."""
    parsed = parse_scale(instruction)
    if parsed is None:
        raise UserError(f"No answer scale was found in the instruction {instruction[-120:]!r}.")
    reading = read_answer(answer, parsed)
    value = "missing" if reading.value is None else reading.value
    print_result({"value": reading.value, "reason": reading.reason}, f"{value} ({reading.reason})", as_json)


def prompt(
    study_id: Annotated[str, typer.Option("--study", help="study_id, as `studies` lists it.")],
    condition: Annotated[int, typer.Option(help="condition_num, as `study ID` lists it.")],
    task: Annotated[int, typer.Option(help="task_num of the outcome, as `study ID` lists it.")],
    participant: Annotated[int, typer.Option(help="Number of the person in the study.")],
    corpus: Corpus = None,
    as_json: AsJson = False,
) -> None:
    """Show the exact messages that a model gets for one person and one cell."""
    opened = find_study(study_id, corpus)
    stimuli = opened.stimuli(study_id)
    of_cell = [s for s in stimuli if (s.condition_num, s.task_num) == (condition, task)]
    if not of_cell:
        pairs = sorted({f"{s.condition_num}/{s.task_num}" for s in stimuli})
        raise unknown("cell (condition/task)", f"{condition}/{task}", pairs)
    person = opened.participant(study_id, participant)
    rendered = render_prompt(person.demographics, of_cell[0].stimulus)
    print_result(rendered.messages(), f"[system]\n{rendered.system}\n\n[user]\n{rendered.user}", as_json)


def set_scale_by_hand(
    study_id: Annotated[str, typer.Option("--study", help="study_id, as `studies` lists it.")],
    stimulus: Annotated[int, typer.Option(help="stimulus_id, as `study ID --json` lists it.")],
    instruction: Annotated[
        str, typer.Argument(help="'Only return an integer from 1 to 7, nothing else.'")
    ] = "",
    clear: Annotated[bool, typer.Option(help="Remove the scale that was set by hand.")] = False,
    corpus: Corpus = None,
    as_json: AsJson = False,
) -> None:
    """Set the answer scale of a stimulus by hand, or remove it with --clear."""
    if clear == bool(instruction):
        raise UserError(
            "Give an instruction such as 'Only return an integer from 1 to 7.', or --clear alone."
        )
    opened = find_study(study_id, corpus)
    if clear:
        clear_scale(opened, study_id, stimulus)
    else:
        set_scale(opened, study_id, stimulus, instruction)
    now = next(item for item in opened.stimuli(study_id) if item.stimulus_id == stimulus)
    unread_ids = {item.stimulus_id for item in opened.unread(study_id)}
    if as_json:
        stored = None if stimulus in unread_ids else now.scale.as_dict()
        return print_json(
            {"study_id": study_id, "stimulus_id": stimulus, "scale": stored, "n_unread": len(unread_ids)}
        )
    print(f"{now.stimulus}\nScale: {'not read' if stimulus in unread_ids else render_instruction(now.scale)}")
    print(f"{len(unread_ids)} stimuli of {study_id} have a scale that could not be read.")
