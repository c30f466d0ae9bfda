"""The command that prepares a home: setup."""

from socrates_core.asking.request import ModelRequest
from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_result, say
from socrates_core.projects.benchmark_questions import measure_speed
from socrates_core.settings import folder


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
