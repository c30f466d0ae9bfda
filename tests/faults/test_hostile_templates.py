"""A model's template turns on the program during a run: the run fails with a sentence, and the next one goes well."""

import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.jobs import store
from socrates_core.projects.run_spec import submit_simulation
from tests.faults.trials import fault
from tests.support.drafts import wide_draft
from tests.support.hostile_folders import edit, replaced
from tests.support.jobs import finish_jobs
from tests.support.processes import ROOT
from tests.support.tiny_models import make_tiny_model
from tests.support.waiting import PATIENCE

TRAPS = {
    "a loop": ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "5 seconds"),
    "one long operation": ("{{ 10 ** (10 ** 10) }}", "5 seconds|memory"),
    "a wide format": ("{{ '%1000000000d' % 1 }}", "memory"),
}


@pytest.mark.parametrize("trap", TRAPS)
@fault("a template turns hostile during a run", "a sentence; the next run goes well; no process left")
def test_a_run_with_a_template_that_turns_hostile_fails_with_a_sentence(trap: str, quiet_home: Path) -> None:
    model = make_tiny_model(quiet_home / "models" / "tiny", "single-digit", max_position_embeddings=4096)
    template = model / "chat_template.jinja"
    source, sentence = TRAPS[trap]
    sound = template.read_text()
    hidden = source.replace("(10 ** 10)", "(messages[-1].content | length * 10 ** 8)")
    template.write_text(f"{{% if 'Text 3.' in messages[-1].content %}}{hidden}{{% endif %}}{sound}")
    job = submit_simulation(wide_draft(5, n_people=3), ModelRequest("tiny"))
    finish_jobs()
    failed = store.read_job(job.id)
    assert failed.state == "failed" and "chat_template.jinja" in failed.message, failed.message
    assert any(each in failed.message for each in sentence.split("|")), failed.message
    template.write_text(sound)
    after = submit_simulation(wide_draft(5, n_people=3), ModelRequest("tiny"))
    finish_jobs()
    assert store.read_job(after.id).state == "done"
    rendering = [
        each for each in psutil.Process().children() if "template_process" in " ".join(each.cmdline())
    ]
    assert len(rendering) <= 1


def small() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (120, 120))


@fault("a tokenizer that would fill the memory", "a sentence and exit code 2, in less than 8 GB")
def test_a_tokenizer_that_fills_the_memory_ends_in_a_sentence(quiet_home: Path) -> None:
    model = make_tiny_model(quiet_home / "models" / "tiny", "single-digit")
    nine = {"type": "Sequence", "normalizers": [replaced("e", "e" * 10)] * 9}
    edit(model, "tokenizer.json", normalizer=nine)
    code = "import sys; from socrates_core.models import count_tokens; from socrates_core.records import Prompt\n"
    code += "print(count_tokens('tiny', Prompt('', 'See the eels.')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        preexec_fn=small,
    )
    assert done.returncode == 1 and "UserError" in done.stderr and "times as long" in done.stderr, done.stderr
