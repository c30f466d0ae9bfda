"""Recipes: each makes a finetune that can be asked for, with the figures that were published."""

import pytest

from socrates_core.finetuning.recipes import Recipe, recipes_for
from socrates_core.finetuning.spec import METHODS, Method, TrainingSpec, spec_from_dict

STARTER, EIGHT_BILLION = 134_515_008, 8_030_261_248


def spec_of(recipe: Recipe, method: Method) -> TrainingSpec:
    return spec_from_dict({"name": "mine", "split": "any", "method": method, **recipe.settings}, "the test")


def named(name: str, method: Method) -> TrainingSpec:
    (recipe,) = [each for each in recipes_for(STARTER, method) if each.name == name]
    return spec_of(recipe, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_parameters", [None, STARTER, EIGHT_BILLION])
def test_every_recipe_makes_a_finetune_of_every_method(n_parameters: int | None, method: Method) -> None:
    recipes = recipes_for(n_parameters, method)
    assert len({each.name for each in recipes}) == len(recipes) >= 2
    for each in recipes:
        assert spec_of(each, method).method == method
        assert each.title and each.source


def test_the_default_follows_the_size_of_the_model() -> None:
    assert recipes_for(STARTER, "sft")[0].name == "small"
    assert recipes_for(EIGHT_BILLION, "sft")[0].name == "qlora"
    assert recipes_for(None, "sft")[0].name == "qlora"
    assert "small" not in [each.name for each in recipes_for(EIGHT_BILLION, "sft")]


def test_small_models_learn_distributions_with_the_settings_that_did_best() -> None:
    spec = named("small", "distribution")
    assert (spec.rps_weight, spec.shrinkage) == (20, 20)
    assert named("small", "sft").rps_weight == named("qlora", "distribution").rps_weight == 0


def test_the_papers_figures_are_the_papers() -> None:
    spec = named("paper", "sft")
    assert (spec.tuning, spec.batch_size, spec.learning_rate, spec.epochs) == ("full", 256, 1e-5, 1)
    assert (spec.schedule, spec.warmup, spec.weight_decay) == ("cosine", 0.05, 0.1)
    assert named("paper", "dpo").learning_rate == 1e-6


def test_the_reproductions_figures_are_its_own() -> None:
    spec = named("qlora", "sft")
    assert (spec.tuning, spec.rank, spec.alpha, spec.learning_rate) == ("qlora", 16, 32, 1e-4)
    assert (spec.batch_size, spec.per_cell) == (64, 32)
    assert named("qlora", "dpo").learning_rate == 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_large_models_come_with_checkpointing_unless_a_file_says_otherwise(method: Method) -> None:
    assert named("qlora", method).checkpointing
    assert named("paper", method).checkpointing  # all weights of a large model leave little room on a card
    assert not named("small", method).checkpointing
    frozen = named("qlora", method).model_dump(mode="json") | {"checkpointing": False}
    again = spec_from_dict(frozen, "a finetune from before")
    assert again.model_dump(mode="json") == frozen  # so that its digest, and its checkpoints, are the same
