"""The command that sets a scale by hand."""

from typing import Annotated

import typer

from socrates_core.cli.output import AsJson, print_json
from socrates_core.corpus.scale_overrides import clear_scale, set_scale
from socrates_core.corpus.store import find_study
from socrates_core.errors import UserError
from socrates_core.scales import render_instruction


def set_scale_by_hand(
    study_id: Annotated[str, typer.Option("--study")],
    stimulus: Annotated[int, typer.Option(help="stimulus_id, as `study ID --json` tells it")],
    instruction: Annotated[
        str, typer.Argument(help="'Only return an integer from 1 to 7, nothing else.'")
    ] = "",
    clear: Annotated[bool, typer.Option(help="Take the scale set by hand back.")] = False,
    corpus: Annotated[str | None, typer.Option(help="Look in this corpus alone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set the answer scale of a stimulus by hand, or take it back with --clear."""
    if clear == bool(instruction):
        raise UserError(
            "Give an instruction such as 'Only return an integer from 1 to 7.', or --clear alone."
        )
    found = find_study(study_id, corpus)
    if clear:
        clear_scale(found, study_id, stimulus)
    else:
        set_scale(found, study_id, stimulus, instruction)
    now = {each.stimulus_id: each for each in found.stimuli(study_id)}[stimulus]
    open_now = {each.stimulus_id for each in found.unread(study_id)}
    if as_json:
        scale = None if stimulus in open_now else now.scale.as_dict()
        return print_json(
            {"study_id": study_id, "stimulus_id": stimulus, "scale": scale, "n_unread": len(open_now)}
        )
    print(f"{now.stimulus}\nScale: {'not read' if stimulus in open_now else render_instruction(now.scale)}")
    print(f"{len(open_now)} stimuli of {study_id} have a scale that could not be read.")
