"""Three real Qualtrics experiments become corpora that agree with counts made without the importer."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from socrates_core.corpus.store import open_corpus
from socrates_core.importing.build import import_study
from socrates_core.importing.mapping import load_mapping, save_mapping
from socrates_core.importing.qualtrics.suggest import (
    Responses,
    Survey,
    SurveySuggestion,
    read_responses,
    read_survey,
    suggest_survey,
)
from socrates_core.records import Scale
from socrates_core.studies.answers import cells
from tests.support.commands import as_json, command

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "qualtrics"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the development data is not on this machine")

AGREE = (
    "Strongly disagree",
    "Disagree",
    "Somewhat disagree",
    "Neither agree nor disagree",
    "Somewhat agree",
    "Agree",
    "Strongly agree",
)


def ends(low: int, first: str, high: int, last: str) -> Scale:
    return Scale("range", low, high, labels=((low, first), (high, last)))


@dataclass(frozen=True)
class Imported:
    understood: SurveySuggestion
    corpus: str
    raw: pd.DataFrame  # the export without its header rows, as pandas reads it

    def counts(self) -> dict[tuple[str, str], dict[float, int]]:
        """(outcome, condition) -> how often each answer was given, as the corpus has it."""
        study = self.understood.mapping.study.study_id
        return {
            (cell["outcome"], cell["condition"]): {float(value): n for value, n in cell["counts"].items()}
            for cell in cells(open_corpus(self.corpus), study)
        }

    def scales(self) -> dict[str, Scale]:
        stimuli = open_corpus(self.corpus).stimuli(self.understood.mapping.study.study_id)
        return {stimulus.outcome_name: stimulus.scale for stimulus in stimuli}


@cache
def read(name: str) -> tuple[Survey, Responses, SurveySuggestion]:
    survey = read_survey(DATA / f"{name}_survey.qsf")
    responses = read_responses(DATA / f"{name}_response.csv", survey)
    return survey, responses, suggest_survey(survey, responses)


def imported(name: str) -> Imported:
    _, responses, understood = read(name)
    raw = pd.read_csv(DATA / f"{name}_response.csv", dtype=str, skiprows=[1, 2]).dropna(how="all")
    return Imported(understood, import_study(responses, understood.mapping), raw)


def counted(answers: pd.Series) -> dict[float, int]:
    return dict(Counter(float(answer) for answer in answers.dropna()))


def outcome_name(names: list[str], start: str) -> str:
    (found,) = [name for name in names if name.startswith(start)]
    return found


def test_hiring_algorithms(home: Path) -> None:
    done = imported("hiring_algorithms")
    mapping, raw, found = done.understood.mapping, done.raw, done.counts()
    arms = {
        "Algorithmic Hiring": raw["FL_7_DO_AlgorithmicHiring"] == "1",
        "Hiring Team": raw["FL_7_DO_HiringTeam"] == "1",
    }
    assert [condition.name for condition in mapping.conditions] == list(arms)
    assert len(mapping.outcomes) == 32
    pairs = [("Q27", "Q22"), ("Q28", "Q24"), ("Q29", "Q25"), ("Q30", "Q26")]
    columns = [(f"{first}_{item}", f"{second}_{item}") for first, second in pairs for item in range(1, 9)]
    for outcome, pair in zip(mapping.outcomes, columns, strict=True):
        for (condition, rows), column in zip(arms.items(), pair, strict=True):
            assert found[outcome.name, condition] == counted(raw.loc[rows, column])
    likert = Scale("range", 1, 7, labels=tuple(enumerate(AGREE, start=1)))
    assert set(done.scales().values()) == {likert}
    first = mapping.outcomes[0].text_by_condition
    assert "Our hiring algorithm will create insights" in first["Algorithmic Hiring"]
    assert "Our hiring team will create insights" in first["Hiring Team"]
    assert first["Hiring Team"].endswith("the following statements?\nI would apply for this position.")
    assert sum(found[mapping.outcomes[0].name, "Hiring Team"].values()) == 497


def test_digital_certification(home: Path) -> None:
    done = imported("digital_certification")
    mapping, raw, found = done.understood.mapping, done.raw, done.counts()
    plain, passport = mapping.conditions
    assert "digital passport" in passport.text and "digital passport" not in plain.text
    assert all("[the answer to prod_choice]" in condition.text for condition in mapping.conditions)
    assert all("night out in detail" in condition.text for condition in mapping.conditions)
    columns = ["DV1_1", "DV1_2", "DV1_3", "WTP", "fami_NFT", "effort", "own"]
    assert [outcome.column for outcome in mapping.outcomes] == columns
    for outcome in mapping.outcomes:
        for condition, item in ((plain, "0"), (passport, "1")):
            assert found[outcome.name, condition.name] == counted(
                raw.loc[raw["item"] == item, outcome.column]
            )
    scales = list(done.scales().values())
    assert scales[:3] == [ends(1, "Not at all", 7, "To a great extent")] * 3
    assert scales[3].is_open
    assert scales[4:6] == [
        ends(1, "Very Unfamiliar", 7, "Very Familiar"),
        ends(1, "Extremely Easy", 7, "Extremely Difficult"),
    ]
    assert scales[6] == Scale("enum_labels", 0, 1, labels=((0, "No"), (1, "Yes")))
    assert any("prod_choice (asked before" in told for told in done.understood.warnings)


def test_junk_fees(home: Path) -> None:
    done = imported("junk_fees")
    mapping, raw, found = done.understood.mapping, done.raw, done.counts()
    fees = ["a resort fee", "a destination fee", "a restocking fee"]
    assert [condition.name for condition in mapping.conditions] == fees
    asked = [
        "Surprised1",
        "Surprised2",
        "Heard",
        "Aware",
        "Encouter",
        "OftenEncouter",
        "Clear.Disclose",
        "Fair",
    ]
    after = [
        "Hidden.Cost",
        "Gov.Resp",
        "Firms.Rights",
        "Total.Part",
        "Regulation",
        "Support.Reg",
        "Impact.Reg",
        "SES",
        "Price.Sensitivity",
    ]
    assert [outcome.column for outcome in mapping.outcomes] == [*(f"Hotel.{name}" for name in asked), *after]
    for outcome in mapping.outcomes:
        for fee in fees:
            assert found[outcome.name, fee] == counted(raw.loc[raw["Hotel"] == fee, outcome.column])
    assert (
        mapping.outcomes[0].text_by_condition["a destination fee"].endswith("covered by a destination fee?")
    )
    assert "Recall a resort fee represents:\nA mandatory fee" in mapping.conditions[0].text
    scales = done.scales()
    assert scales[outcome_name(list(scales), "SES")] == ends(1, "Lowest", 10, "Highest")
    assert scales[outcome_name(list(scales), "Hotel.Fair")] == ends(1, "Very unfair", 7, "Very fair")


def test_another_randomiser_can_be_the_experiment() -> None:
    survey, responses, _ = read("junk_fees")
    found = suggest_survey(survey, responses, ["FL_38"])
    assert len(found.mapping.conditions) == 4
    assert found.mapping.outcomes[0].column == "Car.Surprised1"
    assert found.left_out["Hotel.Fair"] == "decided by another randomizer (FL_5)"
    assert found.mapping.study.study_id.endswith("-fl-38")


@pytest.mark.parametrize("name", ["hiring_algorithms", "digital_certification", "junk_fees"])
def test_every_column_is_used_or_named_with_a_reason(name: str) -> None:
    _, responses, understood = read(name)
    used = set(understood.mapping.columns())
    assert used | set(understood.left_out) == set(responses.frame.columns)
    assert not used & set(understood.left_out)
    assert all(any(reason in told for told in understood.warnings) for reason in understood.left_out.values())


def test_a_saved_mapping_replays_to_the_same_corpus(home: Path, tmp_path: Path) -> None:
    done = imported("junk_fees")
    before = open_corpus(done.corpus).manifest["sha256"]
    save_mapping(done.understood.mapping, tmp_path / "mapping.yaml")
    responses = read_responses(DATA / "junk_fees_response.csv")
    import_study(responses, load_mapping(tmp_path / "mapping.yaml"))
    assert open_corpus(done.corpus).manifest["sha256"] == before


def test_the_command_imports_a_survey_and_replays_its_mapping(home: Path, tmp_path: Path) -> None:
    files = [str(DATA / f"digital_certification_{part}") for part in ("survey.qsf", "response.csv")]
    told = as_json("import", *files)
    assert (told["participants"], told["responses"]) == (600, 4200)
    assert "Left out: prod_choice (asked before the conditions differ)." in told["warnings"]
    before = open_corpus(told["corpus"]).manifest["sha256"]
    kept = tmp_path / "mapping.yaml"
    kept.write_text(Path(told["mapping"]).read_text())
    assert as_json("import", *files, "--mapping", str(kept))["corpus"] == told["corpus"]
    assert open_corpus(told["corpus"]).manifest["sha256"] == before
    assert command("import", *files, "--randomiser", "FL_0", code=2).startswith(
        "There is no randomizer 'FL_0'."
    )
