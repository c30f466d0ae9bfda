"""The answer tree against brute force on made-up next-token tables, and the plan of rows and batches."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socrates_core.errors import UserError
from socrates_core.records import Floats
from socrates_core.scoring.plan import (
    MAX_READS,
    Item,
    lay_out,
    lay_out_chains,
    plan_batches,
    rounded,
)
from socrates_core.scoring.tree import (
    AnswerTree,
    NodeReadings,
    Vocabulary,
    build_tree,
    read_distribution,
)

PIECES = [*"0123456789", "10", "100", "-", ".", "a", "b", "ab", " a", "<end>", "<stop>", "x", "01"]
DIGITS = [place for place, text in enumerate(PIECES) if text[0].isdigit()]
ENDS = [PIECES.index("<end>"), PIECES.index("<stop>")]
VOCABULARY = Vocabulary(np.array(DIGITS), np.array(ENDS))


def tokens_of(text: str) -> tuple[int, ...]:
    """The longest pieces that fit, from the left."""
    found: list[int] = []
    while text:
        piece = max((piece for piece in PIECES if text.startswith(piece)), key=len)
        found.append(PIECES.index(piece))
        text = text[len(piece) :]
    return tuple(found)


@lru_cache(maxsize=100_000)
def next_token(path: tuple[int, ...], seed: int) -> tuple[float, ...]:
    """A made-up distribution over PIECES after `path`."""
    weights = np.random.default_rng([seed, *path]).gamma(0.5, size=len(PIECES)) + 1e-9
    return tuple(weights / weights.sum())


def tree_of(options: Sequence[str]) -> AnswerTree:
    return build_tree(options, [tokens_of(option) for option in options])


def readings_of(tree: AnswerTree, seed: int) -> NodeReadings:
    """What the made-up table says at the inner nodes of `tree`."""
    table = np.array([next_token(tuple(tree.path(int(node))), seed) for node in tree.inner])
    steps = np.log(table[tree.step_source, tree.token[1:]])
    return NodeReadings(steps, table[:, DIGITS].sum(axis=1), table[:, ENDS].sum(axis=1))


def brute_force(options: Sequence[str], seed: int) -> Floats:
    """The probability of each option, alone, by the rules as they are worded."""
    paths = [tokens_of(option) for option in options]
    return np.array([_alone(option, path, paths, seed) for option, path in zip(options, paths, strict=True)])


def _alone(option: str, path: tuple[int, ...], paths: list[tuple[int, ...]], seed: int) -> float:
    probability = 1.0
    for place, token in enumerate(path):
        probability *= next_token(path[:place], seed)[token]
    going_on = {other[len(path)] for other in paths if len(other) > len(path) and other[: len(path)] == path}
    if not going_on:
        return probability
    after = next_token(path, seed)
    if option[-1].isdigit():
        return probability * (1 - sum(after[token] for token in going_on | set(DIGITS)))
    return probability * sum(after[token] for token in ENDS)


OPTION = st.text(alphabet="0129-.abx", min_size=1, max_size=5)


@settings(deadline=None, max_examples=300)
@given(st.lists(OPTION, min_size=1, max_size=30, unique=True), st.integers(0, 10_000))
def test_a_tree_agrees_with_scoring_each_option_alone(options: list[str], seed: int) -> None:
    tree = tree_of(options)
    found = read_distribution(tree, readings_of(tree, seed), VOCABULARY)
    alone = brute_force(options, seed)
    assert found.valid_mass == pytest.approx(alone.sum(), abs=1e-12)
    np.testing.assert_allclose(found.probabilities, alone / alone.sum(), atol=1e-12)
    assert 0 <= found.valid_mass <= 1
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        [str(value) for value in range(1, 8)],
        [str(value) for value in range(11)],
        [str(value) for value in range(101)],
        [str(value) for value in range(-12, 13)],
        [str(value) for value in range(1001)],
        ["a", "ab", "b", "a a"],
        ["0", "0.1", "1", "1.2"],
    ],
    ids=["1-7", "0-10", "0-100", "negatives", "0-1000", "words", "decimals"],
)
def test_every_kind_of_scale_agrees_with_brute_force(options: list[str]) -> None:
    tree = tree_of(options)
    found = read_distribution(tree, readings_of(tree, seed=7), VOCABULARY)
    np.testing.assert_allclose(found.probabilities * found.valid_mass, brute_force(options, 7), atol=1e-14)


def test_a_one_digit_scale_needs_one_node_and_a_hundred_needs_few() -> None:
    one_digit = [[PIECES.index("1")], [PIECES.index("2")]]
    assert len(build_tree(["1", "2"], one_digit).inner) == 1
    by_digit = [[int(digit) for digit in str(value)] for value in range(101)]
    assert len(build_tree([str(value) for value in range(101)], by_digit).inner) == 11


def test_an_option_that_leads_nowhere_else_needs_no_ending() -> None:
    assert not tree_of(["1", "2", "9"]).stops.any()
    assert tree_of(["1", "1a", "2"]).stops.tolist() == [True, False, False]


def test_probabilities_are_missing_where_no_option_can_be_given() -> None:
    tree = tree_of(["1", "2"])
    nothing = NodeReadings(np.array([-np.inf, -np.inf]), np.zeros(1), np.zeros(1))
    found = read_distribution(tree, nothing, VOCABULARY)
    assert found.valid_mass == 0
    assert np.isnan(found.probabilities).all()


def test_long_improbable_options_do_not_underflow() -> None:
    tree = build_tree(["a", "b"], [[8] * 200, [9] * 200])
    readings = NodeReadings(np.full(400, -10.0), np.zeros(400), np.zeros(400))
    found = read_distribution(tree, readings, VOCABULARY)
    assert found.probabilities.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("tokens", [[[1], [1]], [[1], []]])
def test_options_that_a_model_cannot_tell_apart_are_refused(tokens: list[list[int]]) -> None:
    with pytest.raises(UserError, match=r"'Yes'|'yes'"):
        build_tree(["Yes", "yes"], tokens)


def test_no_options_are_refused() -> None:
    with pytest.raises(UserError, match="no options"):
        build_tree([], [])


def item(length: int, options: Sequence[str], first: int = 5) -> Item:
    return Item(np.arange(first, first + length, dtype=np.int32), tree_of(options), (0,))


def seen_by(layout_end: np.ndarray, row: int, column: int) -> list[int]:
    return [place for place in range(column + 1) if column < layout_end[row, place]]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(OPTION, min_size=1, max_size=12, unique=True), min_size=1, max_size=4))
def test_every_read_sees_exactly_its_own_path(option_sets: list[list[str]]) -> None:
    items = [item(4 + place, options) for place, options in enumerate(option_sets)]
    wanted = [[*each.prompt, *each.tree.path(int(node))] for each in items for node in each.tree.inner]
    shared = lay_out(items)
    rows = rounded(shared, tokens=64, reads=16)
    assert rows.tokens.shape[1] % 64 == 0 == len(rows.read_row) % 16
    for layout in (shared, rows, lay_out(items, shared=False), lay_out_chains(items)):
        for path, row, column in zip(wanted, layout.read_row, layout.read_column, strict=False):
            seen = seen_by(layout.end, int(row), int(column))
            assert layout.tokens[row, seen].tolist() == path
            assert layout.depth[row, seen].tolist() == list(range(len(path)))


def test_a_tree_rides_behind_its_prompt_in_one_row() -> None:
    layout = lay_out([item(20, [str(value) for value in range(-9, 10)])])
    assert layout.tokens.shape == (1, 21)
    assert layout.read_column.tolist() == [19, 20]


PROMPT = st.lists(st.integers(1, 2), min_size=1, max_size=8)  # two tokens: many share a beginning
PROMPTS = st.lists(PROMPT, min_size=1, max_size=40, unique_by=tuple)


def items_of(prompts: Sequence[Sequence[int]], options: Sequence[str] = ("1", "10", "2")) -> list[Item]:
    tree = tree_of(options)
    return [Item(np.array(prompt, dtype=np.int32), tree, (place,)) for place, prompt in enumerate(prompts)]


@settings(deadline=None, max_examples=100)
@given(PROMPTS, st.integers(1, 60), st.booleans())
def test_batches_hold_everything_once_within_the_budget(
    prompts: list[list[int]], budget: int, shared: bool
) -> None:
    items = items_of(prompts)
    batches = plan_batches(items, token_budget=budget, shared=shared)
    assert sorted(map(id, items)) == sorted(id(each) for batch in batches for each in batch)
    for batch in batches:
        assert len(batch) == 1 or lay_out(batch, shared=shared).tokens.size <= budget


@settings(deadline=None, max_examples=100)
@given(PROMPTS)
def test_one_batch_reads_every_beginning_once(prompts: list[list[int]]) -> None:
    (batch,) = plan_batches(items_of(prompts, ("1", "2")), token_budget=10**6)
    beginnings = {tuple(prompt[: stop + 1]) for prompt in prompts for stop in range(len(prompt))}
    assert lay_out(batch).tokens.size == len(beginnings)


@settings(deadline=None, max_examples=100)
@given(PROMPTS)
def test_a_branch_sees_exactly_its_own_path(prompts: list[list[int]]) -> None:
    (batch,) = plan_batches(items_of(prompts), token_budget=10**6)
    layout = lay_out(batch)
    paths = [[*each.prompt, *each.tree.path(int(node))] for each in batch for node in each.tree.inner]
    for path, column in zip(paths, layout.read_column, strict=True):
        seen = seen_by(layout.end, 0, int(column))
        assert layout.tokens[0, seen].tolist() == path
        assert layout.depth[0, seen].tolist() == list(range(len(path)))


def test_batches_part_between_people_rather_than_inside_one() -> None:
    people = [[1] * 9 + [person] * 20 + [outcome] * 5 for person in range(8) for outcome in range(5)]
    for batch in plan_batches(items_of(people), token_budget=160):
        assert {len({tuple(each.prompt[9:29]) for each in batch}) * 5, len(batch)} == {len(batch)}


def test_batches_bound_how_many_distributions_exist_at_once() -> None:
    items = [item(5, [str(value) for value in range(-999, 1000)])] * 100
    batches = plan_batches(items, token_budget=10**9)
    assert all(sum(len(each.tree.inner) for each in batch) <= MAX_READS for batch in batches)
