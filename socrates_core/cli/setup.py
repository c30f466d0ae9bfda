"""The commands that prepare a home and look at the machine: setup, doctor."""

from socrates_core.asking.request import ModelRequest
from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_json, print_result, say
from socrates_core.projects.benchmark_questions import measure_speed
from socrates_core.settings import folder

MARKS = {"good": "ok     ", "note": "note   ", "problem": "problem"}


def setup(as_json: AsJson = False) -> None:
    """Prepare the starter corpus and the starter model. Safe to repeat."""
    from socrates_core.corpus.starter import prepare_starter_corpus
    from socrates_core.models.starter import prepare_starter_model

    def report(text: str, share: float) -> None:
        say(f"{share:4.0%}  {text}")

    folder()  # raises its sentence now, rather than after minutes of work, if the home cannot be written
    corpus = prepare_starter_corpus(report)
    model = prepare_starter_model(report)
    say("      Measuring how fast the starter model answers here, unless that is known")
    measure_speed(ModelRequest("starter"))
    print_result(
        {"corpus": str(corpus), "model": str(model)},
        f"Ready: starter corpus in {corpus}, starter model in {model}",
        as_json,
    )


def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can run: graphics cards and their driver, memory, disk, 4 bits, the hub."""
    from socrates_core.models.doctor import examine

    checks = examine()
    if as_json:
        return print_json([vars(check) for check in checks])
    for check in checks:
        print(f"{MARKS[check.state]} {check.name}: {check.sentence}")
