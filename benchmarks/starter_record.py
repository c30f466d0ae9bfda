"""python -m benchmarks.starter_record: measures the starter model on the starter library, for its first verdict.

Writes socrates_core/verdicts/starter.json: what the evaluation measured in every study, with the model's digest. It
holds no person's answer. A few minutes on two cores; answers that this home has stored are not asked again.
"""

import json

from socrates_core.asking.request import ModelRequest
from socrates_core.calibrations import calibration_path, read_measured
from socrates_core.cli.following import follow_until_done
from socrates_core.evaluations.calibration_fit import keep_calibration
from socrates_core.evaluations.results import load_evaluation
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.verdicts.verdict import CAP, STARTER, starter_record, verdict_for

KEPT = (
    "card",
    "fingerprint",
    "written",
    "unknown",
    "calibration",
    "effect_errors",
    "shares",
)  # what a verdict reads


def main() -> None:
    """Evaluates, writes the record, and prints the verdict."""
    job = submit_evaluation(ModelRequest("starter", "bf16"), corpus="starter", studies=("all",), cap=CAP)
    follow_until_done(job, "evaluation")
    manifest = load_evaluation(job.id).manifest
    keep_calibration(manifest["fingerprint"])
    record = read_measured(calibration_path(manifest["fingerprint"]))
    shipped = {name: record[name] for name in KEPT} | {
        name: manifest[name] for name in ("n_rows", "n_tokens")
    }
    STARTER.write_text(json.dumps(shipped, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    starter_record.cache_clear()
    print(verdict_for(manifest["card"]))


if __name__ == "__main__":
    main()
