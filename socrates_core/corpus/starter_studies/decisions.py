"""Starter studies about decisions: what else money buys, pointed questions, wording of odds, endowment."""

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
    options,
)

_VIDEO = (
    "Imagine that you have been saving some extra money on the side to make some purchases, and on your "
    "most recent visit to the video store you come across a special sale on a new video. This video is one "
    "with your favorite actor or actress, and your favorite type of movie (such as a comedy, drama, "
    "thriller, etc.). This particular video that you are considering is one you have been thinking about "
    "buying for a long time. It is available for a special sale price of $14.99. (A) Buy this entertaining "
    "video. (B) Not buy this entertaining video."
)


def _read_opportunity(frame: pd.DataFrame) -> Answers:
    group = coded(frame["group"], {"control": 0, "treatment": 1})
    return between(frame, group, [coded(frame["decision"], {"buy video": 0, "not buy video": 1})])


OPPORTUNITY = StarterStudy(
    study_id="opportunity",
    dataset=("openintro", "opportunity_cost"),
    title="A video on sale: being reminded what else the money buys",
    topic="Consumers",
    source=(
        "Frederick, S., Novemsky, N., Wang, J., Dhar, R. and Nowlis, S. (2009). Opportunity cost neglect. "
        "Journal of Consumer Research 36, 553-561."
    ),
    url="https://doi.org/10.1086/599764",
    wording="instrument",
    conditions=(
        Condition("Not buy", _VIDEO),
        Condition("Not buy, keep the money", f"{_VIDEO} Keep the $14.99 for other purchases."),
    ),
    outcomes=(
        Outcome(
            "Does not buy",
            "What would you do in this situation?",
            options("Buy this entertaining video", "Not buy this entertaining video", first=0),
        ),
    ),
    notes=(
        "Participants were students; nothing else is known about them.",
        "The text is the instrument's; the options follow the story instead of the question.",
    ),
    read=_read_opportunity,
)

_IPOD = (
    "You are selling a used iPod. You are paid 10 dollars plus 5% of the price that the buyer pays. The "
    "iPod works fine, except that it has frozen twice, and nobody knows why. The buyer asks you some "
    "questions and ends with this one:"
)
_ASKED = {
    "general": ("General question", "What can you tell me about it?"),
    "pos_assumption": ("Assumes no problem", "It doesn't have any problems, does it?"),
    "neg_assumption": ("Assumes a problem", "What problems does it have?"),
}


def _read_disclosure(frame: pd.DataFrame) -> Answers:
    asked = coded(frame["question_class"], {name: number for number, name in enumerate(_ASKED)})
    return between(frame, asked, [coded(frame["response"], {"hide": 0, "disclose": 1})])


DISCLOSURE = StarterStudy(
    study_id="disclosure",
    dataset=("openintro", "ask"),
    title="Selling an iPod that freezes: which question gets the truth",
    topic="Judgment",
    source=(
        "Minson, J. A., Ruedy, N. E. and Schweitzer, M. E. There is such a thing as a stupid question: "
        "question disclosure in strategic communication."
    ),
    url="https://www.openintro.org/data/index.php?data=ask",
    wording="partly",
    conditions=tuple(Condition(name, f"{_IPOD} '{question}'") for name, question in _ASKED.values()),
    outcomes=(
        Outcome(
            "Tells of the freezing",
            "What does your answer to the buyer tell?",
            options(
                "It does not mention that the iPod has frozen", "It tells that the iPod has frozen", first=0
            ),
        ),
    ),
    notes=(
        "The buyer's three questions are the instrument's; the story is rebuilt.",
        "People answered freely and the researchers classified what they said; here they choose between "
        "the classes.",
        "No demographics are known.",
    ),
    read=_read_disclosure,
)

_EVENTS = (
    (
        "Two-fold",
        "The temperature at Canberra airport on Sunday will be higher than every other day next week.",
    ),
    ("Seven-fold", "The highest temperature of the week at Canberra airport will occur on Sunday."),
)
_ESTIMATES = (
    ("one estimate", "Think of the single most fitting probability."),
    (
        "lower and upper",
        "Think of a lower and an upper limit of the probability, then answer with the point midway.",
    ),
)


def _read_weather(frame: pd.DataFrame) -> Answers:
    event = coded(frame["priming"], {"two-fold": 0, "seven-fold": 1})
    estimate = coded(frame["eliciting"], {"precise": 0, "imprecise": 1})
    return between(frame, estimate * 2 + event, [frame["agreement"] * 100])


WEATHER = StarterStudy(
    study_id="weather",
    dataset=("betareg", "WeatherTask"),
    title="Will Sunday be the hottest day? Two ways to ask",
    topic="Judgment",
    source=(
        "Smithson, M., Merkle, E. C. and Verkuilen, J. (2011). Beta regression finite mixture models of "
        "polarization and priming. Journal of Educational and Behavioral Statistics 36(6), 804-831."
    ),
    url="https://doi.org/10.3102/1076998610396893",
    wording="partly",
    conditions=tuple(
        Condition(f"{event}, {estimate}", f"{statement} {task}")
        for estimate, task in _ESTIMATES
        for event, statement in _EVENTS
    ),
    outcomes=(
        Outcome(
            "Probability",
            "What is the probability that this will happen, in percent?",
            ends(0, "impossible", 100, "certain"),
        ),
    ),
    notes=(
        "The two descriptions of the event are the instrument's; the rest is rebuilt.",
        "Those who gave a lower and an upper limit are counted with the average of the two.",
        "Participants were first- and second-year psychology students; no demographics are known.",
    ),
    read=_read_weather,
)

_RIPKEN = "a ticket stub from the game in which Cal Ripken Jr. set the record for consecutive games played"
_RYAN = "a souvenir from the game in which Nolan Ryan won his 300th game"


def _endowed(own: str, other: str) -> str:
    return (
        "At a trading card show in Orlando you have filled in a short survey. As thanks you are given, "
        f"yours to keep, {own}. Then you are shown something of about the same value that you could have "
        f"instead: {other}."
    )


def _read_sportscards(frame: pd.DataFrame) -> Answers:
    return between(
        frame,
        coded(frame["good"], {"A": 0, "B": 1}),
        [coded(frame["trade"], {"no": 0, "yes": 1})],
        age=frame["age"],
        gender=frame["gender"].str.capitalize(),
        education=coded(
            frame["education"],
            {
                "8th grade": BELOW_SCHOOL,
                "high school": SCHOOL,
                "2y college": SOME_COLLEGE,
                "post-high school": SOME_COLLEGE,
                "4y college": BACHELOR,
                "graduate school": GRADUATE,
            },
        ),
        income=coded(
            frame["income"],
            {
                "[0, 10)": "<10K",
                "[10, 20)": "10-19K",
                "[20, 30)": "20-29K",
                "[30, 40)": "30-39K",
                "[40, 50)": "40-49K",
                "[50, 75)": "50-74K",
                "[75, 100)": "75-99K",
                "[100, Inf)": "100K+",
            },
        ),
    )


SPORTSCARDS = StarterStudy(
    study_id="sportscards",
    dataset=("AER", "SportsCards"),
    title="Sports memorabilia: trade what you were given?",
    topic="Consumers",
    source=(
        "List, J. A. (2003). Does market experience eliminate market anomalies? Quarterly Journal of "
        "Economics 118, 41-71."
    ),
    url="https://doi.org/10.1162/00335530360535144",
    wording="rebuilt",
    conditions=(
        Condition("Given the Ripken ticket", _endowed(_RIPKEN, _RYAN)),
        Condition("Given the Ryan souvenir", _endowed(_RYAN, _RIPKEN)),
    ),
    outcomes=(Outcome("Trades", "Do you trade what you were given for the other item?", YES_NO),),
    notes=(
        "Text and question are rebuilt from the published description.",
        "The difference between the conditions is a null: which of the two items people own hardly "
        "matters. The endowment effect shows in both, as fewer than half trade.",
        "Half of the people were dealers, who trade more; the profile does not say who.",
    ),
    read=_read_sportscards,
)
