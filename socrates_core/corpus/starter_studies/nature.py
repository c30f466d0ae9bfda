"""Starter studies about nature and money: a mine in Kakadu, a Portuguese park, ecolabeled apples."""

import pandas as pd

from socrates_core.corpus.starter_studies.record import (
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

_ZONE = (
    "The Kakadu Conservation Zone lies in the middle of Kakadu National Park in the north of Australia. It "
    "can either be opened to a mine for gold, platinum and palladium, or be added to the national park and "
    "never mined."
)
_PAY = (
    "Adding it to the park means lost government income and costs for rangers, which the public would have "
    "to make good."
)


def _read_kakadu(frame: pd.DataFrame) -> Answers:
    return between(
        frame,
        coded(frame["major"], {"no": 0, "yes": 1}),
        [coded(frame["answer"], {"nn": 1, "ny": 2, "yy": 3})],
        age=frame["age"],
        gender=frame["sex"].str.capitalize(),
        income="About " + frame["income"].astype(str) + "K Australian dollars",
    )


KAKADU = StarterStudy(
    study_id="kakadu",
    dataset=("Ecdat", "Kakadu"),
    title="A mine in Kakadu: minor or major damage",
    topic="Environment",
    source=(
        "Werner, M. (1999). Allowing for zeros in dichotomous-choice contingent-valuation models. Journal "
        "of Business and Economic Statistics 17(4), 479-486; survey by Carson, Wilks and Imber (1994), "
        "Oxford Economic Papers 46, 727-749."
    ),
    url="https://vincentarelbundock.github.io/Rdatasets/doc/Ecdat/Kakadu.html",
    wording="rebuilt",
    conditions=(
        Condition(
            "Minor impact",
            f"{_ZONE} The mine would have a minor impact: its pit, roads and waste heaps would be seen and "
            "heard close by, and the chemicals it uses are expected to stay on the site, with little risk "
            f"to the rivers and wildlife of the park. {_PAY}",
        ),
        Condition(
            "Major impact",
            f"{_ZONE} The mine would have a major impact: besides its pit, roads and waste heaps, chemicals "
            "could escape into the river that runs through the park, kill fish and birds, and reach the "
            f"famous wetlands 90 kilometres downstream. {_PAY}",
        ),
    ),
    outcomes=(
        Outcome(
            "Willingness to pay",
            "Would you give up a stated part of your income each year so that the zone becomes part of the "
            "park instead of being mined? You are asked twice: first about one amount between 5 and 100 "
            "Australian dollars, then about a higher one if you said yes or a lower one if you said no.",
            options("No to both amounts", "Yes to one amount and no to the other", "Yes to both amounts"),
        ),
    ),
    notes=(
        "Scenarios and question are rebuilt from the published description; interviews showed pictures too.",
        "The amount each person was asked about was random, and cannot be recovered for people who said "
        "yes once and no once; so it is not a condition here.",
        "Age and income come in a few steps (21, 27, 32 to 70 years), probably the middles of brackets.",
        "Schooling is left out: it is documented as years but runs from 0 to 8.",
    ),
    read=_read_kakadu,
)

_BIDS = (6, 12, 24, 48)


def _read_natural_park(frame: pd.DataFrame) -> Answers:
    first = frame["answers"].str[0]
    return between(
        frame,
        coded(frame["bid1"], {bid: number for number, bid in enumerate(_BIDS)}),
        [coded(first, {"n": 0, "y": 1})],
        gender=frame["sex"].str.capitalize(),
        income="Class " + frame["income"].astype(str) + " of 8, lowest to highest",
    )


NATURAL_PARK = StarterStudy(
    study_id="natural_park",
    dataset=("Ecdat", "NaturalPark"),
    title="What a natural park in the Alentejo may cost",
    topic="Environment",
    source=(
        "Nunes, P. (2000). Contingent valuation of the benefits of natural areas and its warmglow "
        "component. PhD thesis 133, KU Leuven; in Verbeek, M. (2004), A Guide to Modern Econometrics, "
        "chapter 7."
    ),
    url="https://vincentarelbundock.github.io/Rdatasets/doc/Ecdat/NaturalPark.html",
    wording="rebuilt",
    conditions=tuple(
        Condition(
            f"{bid} euro",
            "The natural park on the coast of the Alentejo in Portugal is a stretch of wild cliffs, "
            "beaches and wetlands. Suppose that it can stay protected only if people contribute to a fund "
            f"for its preservation. Your household's contribution would be {bid} euro.",
        )
        for bid in _BIDS
    ),
    outcomes=(
        Outcome("Would pay", "Would you be willing to pay this amount to preserve the natural park?", YES_NO),
    ),
    notes=(
        "Text and question are rebuilt from the published description.",
        "Only the answer to the first of two amounts is used; the second depended on it.",
        "Age is left out: the meaning of its six classes is not documented. Income is a class out of eight.",
    ),
    read=_read_natural_park,
)

_PRICES = (
    (0.59, 0.59),
    (0.59, 0.79),
    (0.59, 0.99),
    (0.89, 0.89),
    (0.89, 1.09),
    (0.89, 1.29),
    (1.19, 1.19),
    (1.19, 1.39),
    (1.19, 1.59),
)
_POUNDS = ends(0, "none", 10, "10 pounds")
_STATES = {
    "AL": "Alabama",
    "AK": "Alaska",
    "AZ": "Arizona",
    "AR": "Arkansas",
    "CA": "California",
    "CO": "Colorado",
    "CT": "Connecticut",
    "DE": "Delaware",
    "DC": "District of Columbia",
    "FL": "Florida",
    "GA": "Georgia",
    "HI": "Hawaii",
    "ID": "Idaho",
    "IL": "Illinois",
    "IN": "Indiana",
    "IA": "Iowa",
    "KS": "Kansas",
    "KY": "Kentucky",
    "LA": "Louisiana",
    "ME": "Maine",
    "MD": "Maryland",
    "MA": "Massachusetts",
    "MI": "Michigan",
    "MN": "Minnesota",
    "MS": "Mississippi",
    "MO": "Missouri",
    "MT": "Montana",
    "NE": "Nebraska",
    "NV": "Nevada",
    "NH": "New Hampshire",
    "NJ": "New Jersey",
    "NM": "New Mexico",
    "NY": "New York",
    "NC": "North Carolina",
    "ND": "North Dakota",
    "OH": "Ohio",
    "OK": "Oklahoma",
    "OR": "Oregon",
    "PA": "Pennsylvania",
    "RI": "Rhode Island",
    "SC": "South Carolina",
    "SD": "South Dakota",
    "TN": "Tennessee",
    "TX": "Texas",
    "UT": "Utah",
    "VT": "Vermont",
    "VA": "Virginia",
    "WA": "Washington",
    "WV": "West Virginia",
    "WI": "Wisconsin",
    "WY": "Wyoming",
}


def _read_apple(frame: pd.DataFrame) -> Answers:
    pairs = pd.Series(
        list(zip(frame["regprc"].round(2), frame["ecoprc"].round(2), strict=True)),
        index=frame.index,
        name="prices",
    )
    return between(
        frame,
        coded(pairs, {pair: number for number, pair in enumerate(_PRICES)}),
        [frame["ecolbs"], frame["reglbs"]],
        age=frame["age"],
        gender=coded(frame["male"], {0: "Female", 1: "Male"}),
        education=frame["educ"].astype(str) + " years of schooling",
        income="About " + frame["faminc"].astype(str) + "K",
        household_size=frame["hhsize"],
        location=coded(frame["state"], _STATES),
    )


APPLE = StarterStudy(
    study_id="apple",
    dataset=("wooldridge", "apple"),
    title="Ecolabeled apples at nine pairs of prices",
    topic="Consumers",
    source=(
        "Blend, J. (1998). Doctoral dissertation, Department of Agricultural Economics, Michigan State "
        "University; telephone survey by its Institute for Public Policy and Social Research."
    ),
    url="https://vincentarelbundock.github.io/Rdatasets/doc/wooldridge/apple.html",
    wording="rebuilt",
    conditions=tuple(
        Condition(
            f"Regular ${regular:.2f}, eco ${eco:.2f}",
            f"Imagine that your shop sells two kinds of apples. Regular apples cost ${regular:.2f} a pound. "
            f"Ecolabeled apples, grown in a way that protects the environment, cost ${eco:.2f} a pound.",
        )
        for regular, eco in _PRICES
    ),
    outcomes=(
        Outcome("Ecolabeled apples", "How many pounds of the ecolabeled apples would you buy?", _POUNDS),
        Outcome("Regular apples", "How many pounds of the regular apples would you buy?", _POUNDS),
    ),
    notes=(
        "Text and questions are rebuilt from the published description of a telephone interview.",
        "Fractions of a pound occur: they are kept for effects and rounded for distributions.",
        "A few people would buy more than 10 pounds; they count as off the scale.",
        "Income is the family's in thousands of dollars, in steps that are probably middles of brackets.",
    ),
    read=_read_apple,
)
