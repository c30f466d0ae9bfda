"""The command line: python -m socrates_core COMMAND. Exits 0, 2 with a sentence, or 1 for our own bugs."""

import sys

import typer
from typer.exceptions import TyperException

from socrates_core.commands import app as dashboard
from socrates_core.commands import (
    cache,
    evaluate,
    experiments,
    exports,
    generalise,
    imports,
    jobs,
    keeping,
    metrics,
    models,
    power,
    rationales,
    reports,
    scales,
    seals,
    simulate,
    splits,
    studies,
    training,
)
from socrates_core.errors import UserError

app = typer.Typer(
    name="socrates_core",
    help="Simulate social science experiments with language models, beside real people's answers.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for command in (
    simulate.setup, studies.studies, studies.study, studies.scale, studies.prompt,
    simulate.score, simulate.simulate, simulate.runs, simulate.run, simulate.drift,
    evaluate.evaluate, evaluate.evaluations, evaluate.compare,
    experiments.experiment, experiments.experiments, metrics.metrics, power.power, generalise.generalise,
    reports.report, cache.cache, seals.freeze, seals.seal, seals.reveal, seals.seals,
    training.train, training.trainings, training.training, rationales.rationales,
    keeping.storage, keeping.delete, keeping.restore, keeping.archive, keeping.unarchive, keeping.verify,
    jobs.jobs, jobs.job, jobs.cancel, jobs.first, jobs.resume, jobs.worker, dashboard.app,
):  # fmt: skip
    app.command()(command)
app.add_typer(splits.app, name="split")
app.add_typer(models.app, name="models")
app.command("empty-bin")(keeping.empty_bin)
app.command("set-scale")(scales.set_scale_by_hand)
app.command("import")(imports.import_)
app.command()(exports.export)
app.command(context_settings={"ignore_unknown_options": True})(studies.read)  # an answer may be "-1"


def main() -> None:
    try:
        sys.exit(app(standalone_mode=False))
    except UserError as error:
        sentence = str(error)
    except TyperException as error:  # the parser's own complaints, which print a box otherwise
        sentence = f"{error.format_message()} See: python -m socrates_core --help".strip()
    except typer.Abort:
        sentence = "Stopped."
    print(sentence, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
