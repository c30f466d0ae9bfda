"""What a study's scales are where the program could not read them: listed, and set by hand."""

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from socrates_core.corpus.overlay import FORMAT, VERSION, overrides_path, read_overrides, text_digest
from socrates_core.corpus.queries import Corpus
from socrates_core.errors import UserError, unknown
from socrates_core.files import write_json
from socrates_core.records import Scale, Stimulus
from socrates_core.scales import parse_scale


def unread(corpus: Corpus, study_id: str) -> list[Stimulus]:
    """The stimuli whose scale could not be read and has not been set by hand; they count as open."""
    return corpus.unread(study_id)


def set_scale(corpus: Corpus, study_id: str, stimulus_id: int, scale: Scale | str) -> Scale:
    """Sets the scale of a stimulus, as a scale or as an instruction; returns it.

    It holds for every stimulus of the study with the same text, for what people answered as well, and after the
    study is imported again. Raises UserError for an unknown stimulus or an instruction without a scale.
    """
    return set_scales(corpus, [_stimulus(corpus, study_id, stimulus_id)], scale)


def set_scales(corpus: Corpus, stimuli: Sequence[Stimulus], scale: Scale | str) -> Scale:
    """Sets one scale for many stimuli at once, all or none. Raises UserError for an instruction without a scale."""
    parsed = parse_scale(scale) if isinstance(scale, str) else scale
    if parsed is None:
        raise UserError(
            f"No answer scale was found in {str(scale)[-120:]!r}. "
            "Write for example 'Only return an integer from 1 to 7, nothing else.'"
        )
    _change(corpus.path, stimuli, parsed)
    return parsed


def clear_scale(corpus: Corpus, study_id: str, stimulus_id: int) -> None:
    """Gives a stimulus back the scale that was read from its text. Raises UserError where none was set by hand."""
    stimulus = _stimulus(corpus, study_id, stimulus_id)
    if not set_by_hand(corpus, [stimulus]):
        raise UserError(
            f"The scale of stimulus {stimulus_id} of {study_id!r} was not set by hand; nothing to clear."
        )
    clear_scales(corpus, [stimulus])


def clear_scales(corpus: Corpus, stimuli: Sequence[Stimulus]) -> None:
    """Gives many stimuli back the scales that were read from their texts."""
    _change(corpus.path, stimuli, None)


def set_by_hand(corpus: Corpus, stimuli: Sequence[Stimulus]) -> list[Stimulus]:
    """Those of `stimuli` whose scale was set by hand."""
    known = read_overrides(corpus.path)
    return [each for each in stimuli if _key(each) in known]


def _key(stimulus: Stimulus) -> tuple[str, str]:
    return stimulus.study_id, text_digest(stimulus.stimulus)


def _stimulus(corpus: Corpus, study_id: str, stimulus_id: int) -> Stimulus:
    stimuli = {stimulus.stimulus_id: stimulus for stimulus in corpus.stimuli(study_id)}
    if stimulus_id not in stimuli:
        raise unknown("stimulus", stimulus_id, stimuli, f"The numbers are those of the study {study_id!r}.")
    return stimuli[stimulus_id]


def _change(corpus: Path, stimuli: Sequence[Stimulus], scale: Scale | None) -> None:
    keys = {_key(each) for each in stimuli}
    path = overrides_path(corpus)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path.with_suffix(".lock")):
        told = {known: each for known, each in read_overrides(corpus).items() if known not in keys}
        told |= dict.fromkeys(keys, scale) if scale is not None else {}
        rows = [
            {"study_id": study, "stimulus": digest, "scale": each.as_dict()}
            for (study, digest), each in sorted(told.items(), key=lambda item: item[0])
        ]
        write_json(path, {"format": FORMAT, "version": VERSION, "scales": rows})
