"""Starter studies about politics: immigration news, the health-care mandate, legal abortion."""

import pandas as pd

from socrates_core.corpus.starter_studies.record import (
    BACHELOR,
    BELOW_SCHOOL,
    SCHOOL,
    SOME_COLLEGE,
    YES_NO,
    Answers,
    Condition,
    Outcome,
    StarterStudy,
    between,
    coded,
    ends,
    options,
)

_GOOD = (
    "A newspaper reports that state governors at a meeting welcomed the rising number of immigrants. They "
    "said that newcomers strengthen the economy, pay taxes, fill jobs that businesses need filled, and "
    "enrich American culture."
)
_BAD = (
    "A newspaper reports that state governors at a meeting warned about the rising number of immigrants. "
    "They said that newcomers drive down wages, use public services without paying their share of taxes, "
    "and do not take up American values."
)
_EUROPEAN = (
    "The report shows a photograph of one of the immigrants, Nikolai Vandinsky from Russia, and his story."
)
_LATINO = "The report shows a photograph of one of the immigrants, José Sánchez from Mexico, and his story."


def _read_framing(frame: pd.DataFrame) -> Answers:
    """`anx` arrives with its labels in reverse (its correlation with negative feeling is -0.89)."""
    anxiety = coded(
        frame["anx"],
        {"not anxious at all": 4, "a little anxious": 3, "somewhat anxious": 2, "very anxious": 1},
    )
    return between(
        frame,
        frame["tone"] * 2 + frame["eth"],
        [frame["immigr"], anxiety, frame["p_harm"], frame["cong_mesg"], frame["anti_info"]],
        age=frame["age"],
        gender=frame["gender"].str.capitalize(),
        education=coded(
            frame["educ"],
            {
                "less than high school": BELOW_SCHOOL,
                "high school": SCHOOL,
                "some college": SOME_COLLEGE,
                "bachelor's degree or higher": f"{BACHELOR} or higher",
            },
        ),
        income="Bracket " + frame["income"].astype(str) + " of 19, lowest to highest",
    )


FRAMING = StarterStudy(
    study_id="framing",
    dataset=("mediation", "framing"),
    title="Immigration news: who is pictured and what it costs",
    topic="Politics",
    source=(
        "Brader, T., Valentino, N. A. and Suhay, E. (2008). What triggers public opposition to immigration? "
        "American Journal of Political Science 52(4), 959-978."
    ),
    url="https://doi.org/10.1111/j.1540-5907.2008.00353.x",
    wording="rebuilt",
    conditions=(
        Condition("Benefits, European immigrant", f"{_GOOD} {_EUROPEAN}"),
        Condition("Benefits, Latino immigrant", f"{_GOOD} {_LATINO}"),
        Condition("Costs, European immigrant", f"{_BAD} {_EUROPEAN}"),
        Condition("Costs, Latino immigrant", f"{_BAD} {_LATINO}"),
    ),
    outcomes=(
        Outcome(
            "Opposition to immigration",
            "Should the number of people from foreign countries who are permitted to come and live in the "
            "United States be increased or decreased?",
            ends(1, "increased a lot", 4, "decreased a lot"),
        ),
        Outcome(
            "Anxiety",
            "How anxious does increased immigration make you feel?",
            ends(1, "not anxious at all", 4, "very anxious"),
        ),
        Outcome(
            "Perceived harm",
            "How much harm do you think increased immigration will do to the country and to people like you?",
            ends(2, "no harm at all", 8, "a great deal of harm"),
        ),
        Outcome(
            "Message to Congress",
            "Would you like a message against immigration to be sent to Congress on your behalf?",
            YES_NO,
        ),
        Outcome(
            "Anti-immigration information",
            "Would you like to receive information from organizations that oppose immigration?",
            YES_NO,
        ),
    ),
    notes=(
        "News reports and questions are rebuilt from the published description; people read a full mock "
        "newspaper report with a photograph.",
        "The data set's anxiety labels are inverted (correlation with negative feeling -0.89); they are "
        "reversed here.",
        "Perceived harm is the sum of two items; the question here stands for both.",
        "The variables english and emo are left out because their documented direction contradicts the data.",
        "Income is known only as a place on a scale of 19 points.",
    ),
    read=_read_framing,
)

_MANDATE = "As you may know, by 2014 nearly all Americans will be required to have health insurance."


def _read_healthcare(frame: pd.DataFrame) -> Answers:
    order = coded(frame["order"], {"cannot_afford_second": 0, "penalty_second": 1})
    return between(frame, order, [coded(frame["response"], {"disapprove": 1, "other": 2, "approve": 3})])


HEALTHCARE = StarterStudy(
    study_id="healthcare",
    dataset=("openintro", "healthcare_law_survey"),
    title="The health-insurance mandate: which half of the sentence comes last",
    topic="Politics",
    source="Pew Research Center (2012). Public remains split on health care bill, opposed to mandate.",
    url="https://www.pewresearch.org/politics/2012/03/26/public-remains-split-on-health-care-bill-opposed-to-mandate/",
    wording="instrument",
    conditions=(
        Condition(
            "Financial help named last",
            f"{_MANDATE} People who do not buy insurance will pay a penalty while people who cannot afford "
            "it will receive financial help from the government.",
        ),
        Condition(
            "Penalty named last",
            f"{_MANDATE} People who cannot afford it will receive financial help from the government while "
            "people who do not buy insurance will pay a penalty.",
        ),
    ),
    outcomes=(
        Outcome(
            "Approval",
            "Do you approve or disapprove of this policy?",
            options("Disapprove", "Other or don't know", "Approve"),
        ),
    ),
    notes=(
        "The rows are not respondents: they were rebuilt from published percentages and approximate group "
        "sizes.",
        "No demographics are known.",
        "The question is the poll's own; the numbers of the options are ours, ordered from disapproval to "
        "approval.",
    ),
    read=_read_healthcare,
)

_LEGAL = (
    "Please tell me whether or not you think it should be possible for a pregnant woman to obtain a legal "
    "abortion if"
)
_REASONS = {
    "abany": ("Any reason", "the woman wants it for any reason"),
    "abdefect": ("Defect in the baby", "there is a strong chance of serious defect in the baby"),
    "abnomore": ("No more children", "she is married and does not want any more children"),
    "abhlth": ("Her health", "the woman's own health is seriously endangered by the pregnancy"),
    "abpoor": ("Low income", "the family has a very low income and cannot afford any more children"),
    "abrape": ("Rape", "she became pregnant as a result of rape"),
    "absingle": ("Not married", "she is not married and does not want to marry the man"),
}
_PARTIES = {
    "Strong Democrat": "Strong Democrat",
    "Not Str Democrat": "Moderate Democrat",
    "Ind,Near Dem": "Lean Democrat",
    "Independent": "Don't Lean/Independent/None",
    "Ind,Near Rep": "Lean Republican",
    "Not Str Republican": "Moderate Republican",
    "Strong Republican": "Strong Republican",
    "Other Party": "Other party",
}


def _read_abortion(frame: pd.DataFrame) -> Answers:
    asked = frame[(frame["year"] == 2018) & frame[list(_REASONS)].notna().any(axis=1)]
    given = asked.rename(columns={"id": "participant"}).melt(
        "participant", list(_REASONS), "item", "response"
    )
    responses = given.dropna(subset=["response"]).assign(
        condition_num=given["item"].map({item: number for number, item in enumerate(_REASONS)}), task_num=0
    )
    people = pd.DataFrame(
        {
            "participant": asked["id"],
            "age": asked["age"],
            "gender": asked["sex"],
            "ethnicity": asked["race"].mask(asked["hispanic"] == 1, "Hispanic"),
            "education": asked["educ"].map("{:.0f} years of schooling".format, na_action="ignore"),
            "party_id": coded(asked["partyid"], _PARTIES),
        }
    )
    return Answers(people, responses.drop(columns="item"))


ABORTION = StarterStudy(
    study_id="abortion",
    dataset=("stevedata", "gss_abortion"),
    title="Legal abortion: seven reasons",
    topic="Politics",
    source="General Social Survey 2018, NORC at the University of Chicago; subset in R package stevedata.",
    url="https://gss.norc.org",
    wording="instrument",
    conditions=tuple(Condition(name, f"{_LEGAL} {reason}?") for name, reason in _REASONS.values()),
    outcomes=(Outcome("Should be legal", "", YES_NO),),
    notes=(
        "Within person: everyone was asked about all seven reasons, so differences are paired.",
        "Each condition is one whole item of the survey, so there is no separate question.",
        "Don't know and no answer are missing.",
        "Age 89 stands for 89 or older; education is known as years of schooling.",
        "The survey's weights are not used.",
    ),
    read=_read_abortion,
    design="within",
)
