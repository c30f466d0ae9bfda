"""The options that say which model answers and how: declared once, and each command has those that it can use."""

from dataclasses import fields
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from socrates_core.__main__ import app as command_line
from socrates_core.asking.request import ModelRequest
from socrates_core.cli.options import AsJson, ModelOptions, with_model_options
from socrates_core.errors import UserError
from socrates_core.models.served.server import Service

ALL = {field.name for field in fields(ModelOptions)}
SERVED = {"server", "key_variable", "elicitation", "samples", "consent"}


def options_of(command: str) -> dict[str, Any]:
    group: Any = typer.main.get_command(command_line)
    return {parameter.name: parameter for parameter in group.get_command(None, command).params}


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("simulate", ALL),
        ("evaluate", ALL),
        ("score", ALL - {"limit_usd"}),
        ("rationales", {"model", "precision", "server", "key_variable", "limit_usd", "consent"}),
        ("experiment", SERVED | {"limit_usd"}),
        ("run", {"consent"}),
        ("drift", {"model", "precision"}),
    ],
)
def test_each_command_has_the_model_options_that_it_can_use(command: str, names: set[str]) -> None:
    options = options_of(command)
    assert ALL & set(options) == names
    assert "options" not in options and "as_json" in options


def test_a_command_may_require_an_option_or_have_its_own_default() -> None:
    assert options_of("score")["model"].required and not options_of("simulate")["model"].required
    assert options_of("drift")["precision"].default == "nf4"
    assert options_of("simulate")["precision"].default == "auto"


def test_what_is_typed_arrives_as_one_record() -> None:
    arrived = list[tuple[str, ModelOptions, bool]]()

    @with_model_options("model", "samples", samples=7)
    def ask(text: str, options: ModelOptions, as_json: AsJson = False) -> None:
        arrived.append((text, options, as_json))

    commands = typer.Typer()
    commands.command()(ask)
    for arguments in (["hello"], ["--model", "api:m", "hello", "--json"]):
        assert CliRunner().invoke(commands, arguments).exit_code == 0
    assert arrived == [
        ("hello", ModelOptions(samples=7), False),
        ("hello", ModelOptions(model="api:m", samples=7), True),
    ]
    assert CliRunner().invoke(commands, ["hello", "--precision", "nf4"]).exit_code == 2


def test_only_a_served_model_has_server_settings() -> None:
    server = "http://localhost:8000/v1"
    assert ModelOptions(server=server).request() == ModelRequest("starter")
    request = ModelOptions(model="api:m", server=server, samples=3).request()
    assert request.service == Service(server, "", "auto", 3)
    with pytest.raises(UserError, match="must be like"):
        ModelOptions(model="api:m", server="nowhere").request()
