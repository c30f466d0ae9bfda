"""Starter studies about society: news and hoarding, women who protest, help for the unemployed."""

import pandas as pd

from socrates_core.corpus.starter_studies.record import (
    BACHELOR,
    BELOW_SCHOOL,
    GRADUATE,
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
)

_SUGAR = (
    "A news story reports that an international production problem may soon make sugar scarce and that its "
    "price in the shops may rise."
)


def _read_talor(frame: pd.DataFrame) -> Answers:
    return between(
        frame,
        frame["cond"],
        [frame["import"], frame["pmi"], frame["reaction"]],
        age=frame["age"] // 1,
        gender=coded(frame["gender"], {1: "Male", 2: "Female"}),
    )


TALOR = StarterStudy(
    study_id="talor",
    dataset=("psych", "Tal.Or"),
    title="News of a sugar shortage: front page or supplement",
    topic="Media",
    source=(
        "Tal-Or, N., Cohen, J., Tsfati, Y. and Gunther, A. C. (2010). Testing causal direction in the "
        "influence of presumed media influence. Communication Research 37, 801-824, study 2."
    ),
    url="https://doi.org/10.1177/0093650210362684",
    wording="partly",
    conditions=(
        Condition(
            "Inside a supplement",
            f"{_SUGAR} The story will appear tomorrow on an inside page of the economic supplement of a "
            "newspaper.",
        ),
        Condition("Front page", f"{_SUGAR} The story will appear tomorrow on the front page of a newspaper."),
    ),
    outcomes=(
        Outcome(
            "Importance of the issue",
            "How important is the issue of the possible sugar shortage?",
            ends(1, "not at all important", 7, "very important"),
        ),
        Outcome(
            "Presumed influence on others",
            "How much will this story lead other people to buy sugar?",
            ends(1, "not at all", 7, "very much"),
        ),
        Outcome(
            "Own reaction",
            "Having read the story, how much do you intend to buy sugar yourself, and soon?",
            ends(1, "not at all", 7, "very much"),
        ),
    ),
    notes=(
        "What was measured is documented; the sentences here are ours.",
        "Presumed influence is the mean of two items and own reaction the mean of four: means are kept for "
        "effects and rounded for distributions.",
        "Most people were in their twenties; a half year of age was rounded down.",
    ),
    read=_read_talor,
)

_LAWYER = (
    "Catherine is a lawyer. When a promotion came up, her firm passed her over and promoted a man who was "
    "clearly less qualified. Catherine felt that the decision was unfair."
)


def _read_garcia(frame: pd.DataFrame) -> Answers:
    return between(
        frame, frame["protest"], [frame["anger"], frame["liking"], frame["respappr"]], gender="Female"
    )


GARCIA = StarterStudy(
    study_id="garcia",
    dataset=("psych", "Garcia"),
    title="A woman passed over: silence, her own case, or women's case",
    topic="Gender",
    source=(
        "Garcia, D. M., Schmitt, M. T., Branscombe, N. R. and Ellemers, N. (2010). Women's reactions to "
        "ingroup members who protest discriminatory treatment. European Journal of Social Psychology 40, "
        "733-745."
    ),
    url="https://doi.org/10.1002/ejsp.644",
    wording="partly",
    conditions=(
        Condition("No protest", f"{_LAWYER} She did not protest and went on with her work."),
        Condition("Individual protest", f"{_LAWYER} She protested: 'They are treating me unfairly.'"),
        Condition("Collective protest", f"{_LAWYER} She protested: 'The firm is treating women unfairly.'"),
    ),
    outcomes=(
        Outcome(
            "Anger at Catherine",
            "How much do you agree with this statement: I feel angry towards Catherine.",
            ends(1, "strongly disagree", 7, "strongly agree"),
        ),
        Outcome(
            "Liking of Catherine", "How much do you like Catherine?", ends(1, "not at all", 7, "very much")
        ),
        Outcome(
            "Her response was appropriate",
            "How appropriate was the way in which Catherine responded to the decision?",
            ends(1, "not at all appropriate", 7, "very appropriate"),
        ),
    ),
    notes=(
        "Catherine's words and the anger item are the instrument's; the rest is rebuilt.",
        "All participants were women; nothing else is known about them.",
        "Liking is the mean of six items and appropriateness the mean of four: means are kept for effects "
        "and rounded for distributions.",
    ),
    read=_read_garcia,
)

_JOBLESS = "You recently lost your job and are looking for work. You take part in a study of job seekers."


def _read_jobs(frame: pd.DataFrame) -> Answers:
    return between(
        frame,
        frame["treat"],
        [frame["job_seek"], frame["depress2"], coded(frame["work1"], {"psyump": 0, "psyemp": 1})],
        age=frame["age"] // 1,
        gender=coded(frame["sex"], {0: "Male", 1: "Female"}),
        ethnicity=coded(frame["nonwhite"], {"white0": "White", "non.white1": "Nonwhite"}),
        education=coded(
            frame["educ"],
            {
                "lt-hs": BELOW_SCHOOL,
                "highsc": SCHOOL,
                "somcol": SOME_COLLEGE,
                "bach": BACHELOR,
                "gradwk": GRADUATE,
            },
        ),
        employment="Looking for work",
        marital_status=coded(
            frame["marital"],
            {
                "married": "Married",
                "nevmarr": "Never married",
                "divrcd": "Divorced",
                "separtd": "Separated",
                "widowed": "Widowed",
            },
        ),
        income=coded(
            frame["income"],
            {"lt15k": "<15K", "15t24k": "15-24K", "25t39k": "25-39K", "40t49k": "40-49K", "50k+": "50K+"},
        ),
    )


JOBS = StarterStudy(
    study_id="jobs",
    dataset=("mediation", "jobs"),
    title="A workshop for job seekers (field trial JOBS II)",
    topic="Work",
    source=(
        "Vinokur, A. D. and Schul, Y. (1997). Mastery and inoculation against setbacks as active "
        "ingredients in the JOBS intervention for the unemployed. Journal of Consulting and Clinical "
        "Psychology 65(5), 867-877."
    ),
    url="https://doi.org/10.1037/0022-006X.65.5.867",
    wording="rebuilt",
    conditions=(
        Condition("Booklet", f"{_JOBLESS} You are sent a booklet with tips on how to search for a job."),
        Condition(
            "Workshop",
            f"{_JOBLESS} You are invited to a workshop, in which a group of job seekers and their trainers "
            "practise how to find openings and present themselves, and how to cope with setbacks.",
        ),
    ),
    outcomes=(
        Outcome(
            "Confidence in job search",
            "Some weeks later: how confident are you that you can do the things it takes to find a good job?",
            ends(1, "not at all confident", 5, "very confident"),
        ),
        Outcome(
            "Depressive symptoms",
            "Some months later: in the last two weeks, how much were you bothered by symptoms such as "
            "feeling blue, hopeless or without interest in things?",
            ends(1, "not at all", 5, "extremely"),
        ),
        Outcome("Employed", "Some months later: do you have a job again?", YES_NO),
    ),
    notes=(
        "Text and questions are rebuilt from the published description of a field trial that lasted for "
        "months.",
        "Conditions are what people were assigned to: 372 of the 600 who were invited came to the workshop.",
        "Differences between the conditions are small and their intervals include zero.",
        "Confidence and depression are means of several items: kept for effects, rounded for distributions.",
        "The R package gives these 899 rows for illustration, not for judging the programme.",
        "Everyone was unemployed at the start; income and marital status are from that time.",
    ),
    read=_read_jobs,
)
