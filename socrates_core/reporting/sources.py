"""What a report must cite: the tool, the paper, the models, and the studies with their licences."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from socrates_core import __version__
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.projects.run_results import SimulationRun
from socrates_core.surveys.human_answers import study_behind

PAPER = (
    "Kolluri, Wu, Park, and Bernstein (2025). Finetuning LLMs for Human Behavior Prediction in Social Science "
    "Experiments. EMNLP 2025. arXiv:2509.05830."
)
UNSTATED = "none stated; ask the authors before you share the data"


@dataclass(frozen=True)
class Source:
    """A study behind a report; `gave` says what was taken from it. `url` is empty or begins with http."""

    corpus: str
    study_id: str
    title: str
    reference: str
    url: str
    licence: str
    gave: str


def study_sources(run: SimulationRun) -> list[Source]:
    """The draft's own study, those that simulated people come from, by name, and those that calibrated the model."""
    profiles = Counter(tuple(p.source.split("/")[:2]) for p in run.spec.people if p.source.count("/") >= 2)
    draft = run.spec.draft
    human = study_behind(draft, run.spec.shown)
    gave: dict[tuple[str, ...], list[str]] = defaultdict(list)
    if draft.study is not None:
        gave[draft.study.corpus, draft.study.study_id].append("texts")
    if human is not None and any(cell.counts is not None for cell in run.cells):
        gave[human.corpus.name, human.study_id].append("people's answers, for comparison")
    for key, n in sorted(profiles.items()):
        gave[key].append(f"profiles of {n} simulated people")
    if not isinstance(run.calibration, str):
        for name in dict.fromkeys(run.calibration.pairs.study.tolist()):
            gave[tuple(name.split("/", 1))].append("effects, for the model's calibration")
    return [study_source(corpus, study, "; ".join(gifts)) for (corpus, study), gifts in gave.items()]


def study_source(corpus: str, study_id: str, gave: str) -> Source:
    """A study that `gave` something, also where it is no longer on this machine."""
    try:
        study = open_corpus(corpus).study(study_id)
    except UserError:
        return Source(corpus, study_id, study_id, "no longer on this machine", "", UNSTATED, gave)
    # The page makes a link of it, and `javascript:` in a study's record must not become one.
    url = study.url if study.url.startswith(("https://", "http://")) else ""
    return Source(corpus, study_id, study.title, study.source, url, study.licence or UNSTATED, gave)


def citations(*cards: Mapping[str, str]) -> dict[str, str]:
    """How to name the tool, the paper and the models with these `cards`."""
    models = [
        f"{card['model']}, revision {card['revision']}, {card['precision']}, {card['decoding']} decoding, "
        f"prompt template {card['template']}. Its licence is on its model card."
        for card in cards
    ]
    return {
        "Tool": f"Socrates, version {__version__}: simulated survey experiments compared with people's answers.",
        "Method and data set": PAPER,
        **{f"Model {n}" if len(models) > 1 else "Model": model for n, model in enumerate(models, 1)},
    }


def render_sources(cited: Mapping[str, str], sources: Sequence[Source]) -> str:
    """Citations, sources and licences as text."""
    lines = ["Please cite these if you use this folder", ""]
    lines += [f"{what}: {text}" for what, text in cited.items()]
    lines += ["", "Studies and their licences", ""]
    for source in sources:
        lines += [
            f"{source.study_id}: {source.title}",
            f"  source: {source.reference} {source.url}".rstrip(),
            f"  licence: {source.licence}",
            f"  gave: {source.gave}",
            "",
        ]
    lines += [
        "Predicted answers come from the model named above; its licence governs its output.",
        "People's answers and profiles stay under their study's licence; this folder grants no other rights.",
    ]
    return "\n".join(lines) + "\n"
