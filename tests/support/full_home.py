"""A home in which everything that is written was made, two of a kind, so that one can be spoilt beside the other."""

import io
import os
from pathlib import Path

from socrates_core.asking.request import ModelRequest
from socrates_core.asking.speed import record_speed
from socrates_core.corpus import open_corpus
from socrates_core.corpus.scale_overrides import set_scale
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.corpus.topics import make_map
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.exposure import seals
from socrates_core.files import write_json
from socrates_core.finetuning.rationales import submit_rationales
from socrates_core.importing.mapping import mapping_from_dict, save_mapping
from socrates_core.importing.opening import open_files
from socrates_core.importing.suggest import suggest
from socrates_core.importing.uploads import keep_files
from socrates_core.jobs import store
from socrates_core.models.served.server import Service
from socrates_core.populations.margins import keep_margins
from socrates_core.projects import drafts
from socrates_core.projects.experiments import Specification, submit_experiment
from socrates_core.projects.paraphrases import Paraphrase
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.start import draft_from_study
from tests.support.api_server import FixedVoice, serving
from tests.support.finetunes import spec_of, train
from tests.support.jobs import finish_jobs

STUDY = "kakadu"
SHARES = b"field,category,share\ngender,Female,0.51\ngender,Male,0.49\n"


def fill_home(home: Path) -> None:
    """Fills `home`, which has the corpora "starter" and "made", the split "held" and the model "tiny"."""
    corpus = open_corpus("starter")
    draft = draft_from_study(corpus, STUDY)
    draft = draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": 3})})
    for title in ("First", "Second"):
        draft_id = drafts.create(draft.model_copy(update={"title": title}))
        drafts.keep_version(draft_id, draft, "kept")
    for title in ("Binned", "Binned too"):
        drafts.delete(drafts.create(draft.model_copy(update={"title": title})))
    save_split(make_split(corpus, "participants", name="other", share=0.5, seed=1))
    runs = [
        submit_simulation(draft.model_copy(update={"title": title}), ModelRequest("echo")).id
        for title in "AB"
    ]
    for title in "CD":
        _experiment(draft.model_copy(update={"title": title}))
    for model in ("uniform", "echo"):
        submit_evaluation(ModelRequest(model), studies=[STUDY], cap=2, seed=0)
    _imports(home)
    finish_jobs()
    for run_id in runs:
        seals.seal(run_id)
    stimulus = corpus.stimuli(STUDY)[0]
    set_scale(corpus, STUDY, stimulus.stimulus_id, stimulus.scale or "")
    for name in ("here", "there"):
        keep_margins(f"{name}.csv", SHARES)
    record_speed(ModelRequest("echo"), n_tokens=2000, seconds=1)
    measured = {"model": "tiny", "precision": "nf4", "n_questions": 1, "mean_tv": 0.1, "max_tv": 0.2}
    write_json(home / "models" / "drift.json", [measured])
    write_json(home / "dashboard.json", {"port": 8501, **vars(store.owner_of(os.getpid()))})
    make_map(["made", "starter"])
    _finetunes()
    store.put_first(store.submit("simulate", "Waits", {"run_id": runs[0]}, key="waits").id)


def _experiment(draft: Draft) -> None:
    paraphrase = Paraphrase(name="Other", outcomes={draft.outcomes[0].name: "And now?"})
    tried = [Specification(ModelRequest("echo"), "as written", word) for word in ("as written", "Other")]
    submit_experiment(draft, tried, paraphrases=[paraphrase])


def _imports(home: Path) -> None:
    rows = "id,arm,q\n" + "".join(f"{n},{'ab'[n % 2]},{n % 7 + 1}\n" for n in range(40))
    for name in ("one", "two"):
        upload = keep_files([(f"{name}.csv", io.BytesIO(rows.encode()))])
        table = open_files(upload.paths).table
        told = suggest(table, name).model_dump(mode="json")
        save_mapping(mapping_from_dict(told, "the mapping"), upload.mapping_path)


def _finetunes() -> None:
    """Two finetunes with their adapters, and two sets of rationales that a server wrote."""
    for name in ("tuned", "tuned2"):
        train(spec_of(name=name, max_steps=2))
    with serving(FixedVoice({"I do this at times. It matters to me.": 1.0})) as server:
        model = ModelRequest("api:fixed", service=Service(server.url))
        for name in ("written", "written2"):
            asked = spec_of(
                name="reasoned", method="reasoning", rationales=name, studies=["aaaaa"], per_cell=2
            )
            submit_rationales(model, asked)
            finish_jobs()
