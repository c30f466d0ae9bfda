"""Model folders from a stranger who means harm: every attack ends soon, in little memory, and in a sentence."""

import json
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

from socrates_core.errors import UserError
from socrates_core.records import Prompt
from socrates_core.responders import rendering
from socrates_core.responders.chat import Chat
from socrates_core.responders.rendering import ChatTemplate
from tests.conftest import ROOT
from tests.tiny_models import CHATML, GEMMA, LLAMA3, make_tiny_model

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
    children = psutil.Process().children(recursive=True)
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
        (7, "is 7, which is no text"),
        ({"a": 1}, "no text"),
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
        "import sys; from socrates_core.responders.rendering import ChatTemplate\n"
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
        assert child.wait(60) is None


def test_a_request_that_is_interrupted_leaves_no_reply_for_the_next() -> None:
    slow = "{% for i in range(20000) %}{% for j in range(1000) %}{% endfor %}{% endfor %}slow"
    template = ChatTemplate("{{ messages[0].content }}", "it", {})
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        ChatTemplate(slow, "it", {}).render([[]])
        time.sleep(5)
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
