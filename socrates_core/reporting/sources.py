"""What a report rests on and has to name: the tool, the paper, the model, and the studies with their licences."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from socrates_core import __version__
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.projects.run_results import Run
from socrates_core.surveys.human_answers import study_behind

PAPER = (
    "Kolluri, Wu, Park, and Bernstein (2025). Finetuning LLMs for Human Behavior Prediction in Social Science "
    "Experiments. EMNLP 2025. arXiv:2509.05830."
)
UNSTATED = "none stated; ask its authors before you pass its data on"


@dataclass(frozen=True)
class Source:
    """A study that a run took something from; `gave` says what. `url` is empty or begins with http."""

    corpus: str
    study_id: str
    title: str
    reference: str
    url: str
    licence: str
    gave: str


def study_sources(run: Run) -> list[Source]:
    """The draft's own study first, then those that personas come from, by name."""
    profiles = Counter(tuple(p.source.split("/")[:2]) for p in run.spec.people if p.source.count("/") >= 2)
    draft, asked = run.spec.draft, study_behind(run.spec.draft, run.spec.shown)
    gave: dict[tuple[str, ...], list[str]] = defaultdict(list)
    if draft.study is not None:
        gave[draft.study.corpus, draft.study.study_id].append("texts")
    if asked is not None and any(cell.counts is not None for cell in run.cells):
        gave[asked.corpus.name, asked.study_id].append("people's answers, where they stand beside")
    for key, n in sorted(profiles.items()):
        gave[key].append(f"profiles of {n} personas")
    return [study_source(corpus, study, "; ".join(told)) for (corpus, study), told in gave.items()]


def study_source(corpus: str, study_id: str, gave: str) -> Source:
    """A study that `gave` something, also where it is not on this machine any more."""
    try:
        study = open_corpus(corpus).study(study_id)
    except UserError:
        return Source(corpus, study_id, study_id, "not on this machine any more", "", UNSTATED, gave)
    url = study.url if study.url.startswith(("https://", "http://")) else ""
    return Source(corpus, study_id, study.title, study.source, url, study.licence or UNSTATED, gave)


def citations(*cards: Mapping[str, str]) -> dict[str, str]:
    """How to name the tool, the paper and the models with these `cards`."""
    models = [
        f"{card['model']}, revision {card['revision']}, {card['precision']}, {card['decoding']} decoding, "
        f"prompt template {card['template']}. Its licence is on its own card."
        for card in cards
    ]
    return {
        "Tool": f"Socrates, version {__version__}: simulated survey experiments beside people's answers.",
        "Method and data set": PAPER,
        **{f"Model {n}" if len(models) > 1 else "Model": told for n, told in enumerate(models, 1)},
    }


def render_sources(named: Mapping[str, str], sources: Sequence[Source]) -> str:
    """Citations, sources and licences as text."""
    lines = [
        "Name these where you use this folder",
        "",
        *(f"{k}: {v}" for k, v in named.items()),
        "",
    ]
    lines += ["Studies and their licences", ""]
    for each in sources:
        lines += [
            f"{each.study_id}: {each.title}",
            f"  source: {each.reference} {each.url}".rstrip(),
            f"  licence: {each.licence}",
            f"  gave: {each.gave}",
            "",
        ]
    return (
        "\n".join(
            [
                *lines,
                "Predicted answers come from the model named above, under whatever its licence says of its output.",
                "People's answers and profiles stay under their study's licence: this folder grants no other.",
            ]
        )
        + "\n"
    )
