"""Model folders from a stranger who means harm: every attack ends soon, in little memory, and in a sentence."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import psutil
import pytest
from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers import AutoModelForCausalLM

from socrates_core.errors import UserError
from socrates_core.models import answer_all, open_responder, rendering
from socrates_core.models.catalog import list_models
from socrates_core.models.chat import Chat
from socrates_core.models.local.load import load_model
from socrates_core.models.model_folder import check_folder
from socrates_core.models.rendering import ChatTemplate
from socrates_core.records import Prompt
from tests.support.adapters import make_adapter
from tests.support.hostile_folders import ADAPTERS, CONFIGURATIONS, FILES, HEADERS, TOKENIZERS, edit, split
from tests.support.model_families import FAMILIES, make_family
from tests.support.pages import fine, open_page, table_of
from tests.support.processes import ROOT
from tests.support.scoring import PROMPTS, TOLERANCE, largest_difference, questions
from tests.support.tiny_models import CHATML, GEMMA, LLAMA3, make_tiny_model
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("no_worker")

FOLDERS = CONFIGURATIONS | HEADERS | FILES | TOKENIZERS
LARGE = {"300,000 tensors", "50 MB of metadata", "65 MB", "50 MB before each text", "17 MB"}
FOUND_ON_OPENING = (set(TOKENIZERS) - LARGE - {"settings that are a list"}) | {
    "2,000 ends of a turn",
    "a generation that is a list",
    "a head of size 0",
    "a head of size 10^6",
    "a million key heads",
    "a scaling of nothing",
    "a vocabulary of 0",
    "a vocabulary of 10^8",
    "a width of 10^30",
    "a width of 10^6",
    "adapter: a dropout of 7",
    "adapter: another layer's name",
    "an end that is text",
    "an unknown activation",
    "another architecture",
    "heads that are text",
    "no number",
    "no precision",
    "padding beyond the vocabulary",
}
PROMPT = Prompt("You answer surveys.", "How much do you agree?")
CONVERSATIONS = [
    [{"role": "user", "content": "How are you?"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "é 😀\r\n\t \u2028 \x00 {{ 1 }} \\n"},
    ],
    [
        {"role": "user", "content": "half \ud83d and\udc00 two halves \ud83d\ude00"},
        {"role": "assistant", "content": ""},
    ],
]
DATED = (
    "{%- for m in messages -%}\n  {% if loop.last %}{% break %}{% endif %}\n{{ m }}\n{%- endfor %}"
    "{{ strftime_now('%d') }}"
)


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    """Every test here has a home of its own."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny", "single-digit")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def renderers() -> list[psutil.Process]:
    """The processes that render for this one."""
    children = psutil.Process().children()
    return [each for each in children if "template_process" in " ".join(each.cmdline())]


@pytest.mark.parametrize(
    "source", [CHATML, LLAMA3, GEMMA, DATED, "{{ messages }}{{ bos_token }}{{ eos_token.x }}"]
)
def test_a_template_gives_the_same_text_in_the_other_process(source: str) -> None:
    def refuse(message: str) -> None:
        raise TemplateError(message)

    here = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    here.globals |= {"raise_exception": refuse, "strftime_now": datetime(2024, 7, 26).strftime}
    values = {"bos_token": "<s>", "eos_token": None, "add_bos_token": True}
    compiled = here.from_string(source)
    for conversation in CONVERSATIONS:
        for flag in (True, False):
            flags = {"add_generation_prompt": flag, "enable_thinking": False, "thinking": False}
            try:
                expected = compiled.render(**values, messages=conversation, **flags)
            except TemplateError as error:
                with pytest.raises(rendering.PromptRefused, match=str(error)):
                    ChatTemplate(source, "it", values).render([conversation], **flags)
            else:
                assert ChatTemplate(source, "it", values).render([conversation], **flags) == [expected]


LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
TEMPLATES = {
    "{{ 'a' * 10 ** 10 }}": "more than 1,024 MB of memory",
    "{% for i in range(90000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }}{% endfor %}": "characters",
    "{{ ''.__class__.__mro__ }}": "unsafe",
    "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}": "recursion",
    "{{ 1 // 0 }}": "division",
    "{{ 9.9 ** 9999 }}": "out of range",
    "{{ 1 + 'a' }}": "unsupported operand",
    "{{ nothing.at.all }}": "undefined",
    "{{ range(10 ** 9) | list }}": "Range too big",
    "{% include '/etc/passwd' %}": "cannot be used",
    "{{" + "(" * 5000 + ")" * 5000 + "}}": "cannot be read",
    "{{ " + "-" * 100_000 + "1 }}": "cannot be read|was stopped",
    "{{ 1 }}" * 200_000: "cannot be read",
    "{% for message in %}": "cannot be read",
}


@pytest.mark.parametrize("template", TEMPLATES, ids=range(len(TEMPLATES)))
def test_a_hostile_template_ends_in_a_sentence(template: str, copy: Path) -> None:
    (copy / "chat_template.jinja").write_text(template)
    begun = time.monotonic()
    with pytest.raises(UserError, match=TEMPLATES[template]) as raised:
        Chat(copy)
    assert "chat_template.jinja" in str(raised.value) and len(str(raised.value)) < 1000
    assert time.monotonic() - begun < 60
    assert ChatTemplate("{{ messages[0].content }}", "it", {}).render(CONVERSATIONS[:1]) == ["How are you?"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (7, "is 7, which is not a text"),
        ({"a": 1}, "not a text"),
        ([{"nome": "default"}], "name"),
        ([1], "subscript"),
    ],
)
def test_a_template_that_is_no_text_ends_in_a_sentence(value: object, sentence: str, copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    path = copy / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": value}))
    with pytest.raises(UserError, match=sentence):
        Chat(copy)


@pytest.mark.slow
def test_a_template_that_hangs_on_one_text_alone_is_stopped_and_others_are_rendered_after(copy: Path) -> None:
    file = copy / "chat_template.jinja"
    file.write_text(f"{{% if 'trap' in messages[-1].content %}}{LOOP}{{% endif %}}{file.read_text()}")
    chat = Chat(copy)
    before = chat.render(PROMPT)
    with pytest.raises(UserError, match="more than 5 seconds"):
        list(chat.encode([PROMPT, Prompt("", "trap")]))
    assert chat.render(PROMPT) == before


def test_threads_share_the_process_and_each_gets_its_own_texts(copy: Path) -> None:
    chat, wrong = Chat(copy), list[str]()

    def ask(number: int) -> None:
        for turn in range(20):
            text = f"question {number} of turn {turn}."
            wrong.extend(got for got in chat.render_all([Prompt("", text)] * 5) if text not in got)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(renderers()) == 1


@pytest.mark.parametrize("interrupted", ["idle", "in a loop"])
def test_the_process_that_renders_does_not_outlive_a_killed_program(interrupted: str) -> None:
    program = (
        "import sys; from socrates_core.models.rendering import ChatTemplate\n"
        "ChatTemplate('x', 'it', {}); print(flush=True)\n"
        "ChatTemplate(sys.argv[1], 'it', {}).render([[]]); sys.stdin.read()"
    )
    source = LOOP if interrupted == "in a loop" else "x"
    command = [sys.executable, "-c", program, source]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        parent.stdout.readline()
        (child,) = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert child.wait(PATIENCE) is None


def test_a_request_that_is_interrupted_leaves_no_reply_for_the_next() -> None:
    slow = "{% for i in range(20000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}slow"
    template = ChatTemplate("{{ messages[0].content }}", "it", {})
    main = threading.main_thread().ident
    assert main is not None
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            ChatTemplate(slow, "it", {}).render([[]])
            time.sleep(5)
    finally:
        signal.signal(signal.SIGINT, before)
    assert template.render(CONVERSATIONS[:1]) == ["How are you?"]


def test_a_process_that_is_stopped_is_given_up_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    template = ChatTemplate("{{ messages[0].content }}", "it", {})
    monkeypatch.setattr(rendering, "PATIENCE", 0.5)
    (process,) = renderers()
    process.suspend()
    with pytest.raises(UserError, match="more than 0 seconds"):
        template.render(CONVERSATIONS[:1])
    monkeypatch.undo()
    assert template.render(CONVERSATIONS[:1]) == ["How are you?"]


@pytest.mark.parametrize("attack", FOLDERS, ids=FOLDERS.keys())
def test_a_hostile_model_folder_ends_in_a_sentence(attack: str, copy: Path) -> None:
    damage, sentence = FOLDERS[attack]
    damage(copy)
    begun = time.monotonic()
    with pytest.raises(UserError, match=sentence) as raised:
        open_responder(str(copy))
    assert time.monotonic() - begun < 60 and len(str(raised.value)) < 1500


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tiny, tmp_path_factory.mktemp("adapters") / "adapter", 1)


@pytest.mark.parametrize("attack", ADAPTERS)
def test_a_hostile_adapter_ends_in_a_sentence(attack: str, adapter: Path, tmp_path: Path) -> None:
    damage, sentence = ADAPTERS[attack]
    spoilt = Path(shutil.copytree(adapter, tmp_path / "spoilt"))
    damage(spoilt)
    with pytest.raises(UserError, match=sentence):
        answer_all(open_responder(str(spoilt)), questions(PROMPTS[:1]))


@pytest.mark.parametrize(
    "expression", [r".*\.(q_proj|v_proj|down_proj)", r"(([a-z_.0-9]+)+)+!|.*(q|v|down)_proj"]
)
def test_an_adapter_s_expression_gives_the_same_answers_and_is_never_run(
    expression: str, adapter: Path, tmp_path: Path
) -> None:
    copied = [Path(shutil.copytree(adapter, tmp_path / name)) for name in ("first", "second")]
    expected = answer_all(open_responder(str(adapter), precision="fp32"), questions(PROMPTS[:1]))
    for each in copied:  # the first adapter of a base and the second are attached in two ways
        edit(each, "adapter_config.json", target_modules=expression)
        found = answer_all(open_responder(str(each), precision="fp32"), questions(PROMPTS[:1]))
        assert largest_difference(found, expected) < TOLERANCE


@pytest.mark.parametrize("model_type", FAMILIES)
def test_no_family_of_models_is_refused(model_type: str, tmp_path: Path) -> None:
    path = make_family(tmp_path / "model", model_type)
    check_folder(path)
    assert load_model(path, "fp32").n_parameters > 0


def test_shards_and_the_same_weights_twice_are_opened(tiny: Path, copy: Path) -> None:
    shutil.copyfile(copy / "model.safetensors", copy / "consolidated.safetensors")
    expected = answer_all(open_responder(str(tiny), precision="fp32"), questions(PROMPTS[:1]))
    twice = answer_all(open_responder(str(copy), precision="fp32"), questions(PROMPTS[:1]))
    assert largest_difference(twice, expected) < TOLERANCE
    for file in copy.glob("*.safetensors"):
        file.unlink()
    AutoModelForCausalLM.from_pretrained(tiny, dtype="auto").save_pretrained(copy, max_shard_size="20KB")
    assert len(list(copy.glob("*.safetensors"))) > 1
    sharded = answer_all(open_responder(str(copy), precision="fp32"), questions(PROMPTS[:1]))
    assert largest_difference(sharded, expected) < TOLERANCE


def test_ends_of_a_turn_that_the_model_does_not_know_are_left_out(copy: Path) -> None:
    edit(copy, "generation_config.json", eos_token_id=[2, -1, 10**9, 10**30])
    edit(copy, eos_token_id=1)
    assert Chat(copy).vocabulary.ends.tolist() == [1, 2]
    assert answer_all(open_responder(str(copy)), questions(PROMPTS[:1]))


def test_a_tokenizer_is_tried_once_and_again_when_it_has_changed(copy: Path, home: Path) -> None:
    Chat(copy)
    passed = {file: file.stat().st_mtime_ns for file in (home / "cache" / "tokenizers").iterdir()}
    Chat(copy)
    assert {file: file.stat().st_mtime_ns for file in (home / "cache" / "tokenizers").iterdir()} == passed
    edit(copy, "tokenizer.json", version="1.0", normalizer={"type": "Lowercase"})
    Chat(copy)
    assert len(list((home / "cache" / "tokenizers").iterdir())) == len(passed) + 1 == 2


def test_a_text_that_a_tokenizer_panics_on_ends_in_a_sentence(copy: Path) -> None:
    edit(copy, "tokenizer.json", pre_tokenizer=split("trap(b+)+(c+)+(b+)+$|[^t]+|t"))
    chat = Chat(copy)
    assert len(next(chat.encode([PROMPT])))
    with pytest.raises(UserError, match="retry-limit"):
        list(chat.encode([Prompt("", "trap" + "b" * 4000)]))


def test_every_hostile_folder_is_listed_by_the_real_command_and_none_ends_it(
    tiny: Path, adapter: Path, home: Path
) -> None:
    """Names with spaces, capitals, a line's end and half an emoji too."""
    for kind, source, attacks in (("models", tiny, FOLDERS), ("adapters", adapter, ADAPTERS)):
        for place, (name, (damage, _)) in enumerate(attacks.items()):
            if name not in LARGE:
                damage(Path(shutil.copytree(source, home / kind / f"{kind} {place}")))
    for name in ("Twin", "twin", "Größe 😀", "new\nline", "-n", "a'b\"c"):
        shutil.copytree(tiny, home / "models" / name)
    os.mkfifo(home / "models" / "pipe")
    (home / "models" / "round").symlink_to(home / "models")
    command = [sys.executable, "-m", "socrates_core", "models"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False, preexec_fn=small
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-2000:]
    cards = {card.name: card for card in list_models()}
    for name in ("Twin", "twin", "Größe 😀", "-n"):
        assert cards[name].installed and name in done.stdout
    listed = {name: cards[f"models {place}"] for place, name in enumerate(FOLDERS) if name not in LARGE}
    listed |= {f"adapter: {name}": cards[f"adapters {place}"] for place, name in enumerate(ADAPTERS)}
    assert {name for name, card in listed.items() if card.installed} == FOUND_ON_OPENING
    assert all(card.name in done.stdout for card in listed.values())


def test_the_page_of_models_shows_hostile_folders_as_not_usable(tiny: Path, home: Path) -> None:
    attacks = [
        "a billion layers",
        "a pipe as config.json",
        "a pipe as card.json",
        "10^30 positions",
        "no UTF-8",
    ]
    for attack in attacks:
        FOLDERS[attack][0](Path(shutil.copytree(tiny, home / "models" / attack)))
    table = table_of(open_page("pages/models/models.py"), "models_table").set_index("model")
    assert set(table.loc[attacks]["kind"]) == {"cannot be used"}
    for attack in attacks:
        fine(open_page("pages/models/models.py", model=attack))


def small() -> None:
    """Limits a process that lists models: no file is large, so neither is it."""
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
