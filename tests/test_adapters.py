"""LoRA adapters over a base model that is loaded once: the right answers, switched back and forth, merged or not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import KasaConfig, LoraConfig, PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models import answer_all, context_limit, count_tokens, model_revision, open_responder
from socrates_core.models.catalog import list_models
from socrates_core.models.local import adapters
from socrates_core.models.local.network import open_network
from socrates_core.models.local.responder import LocalResponder
from socrates_core.records import Answer, Precision
from tests.support.adapters import LAYERS, cannot_merge, make_adapter, spoil, with_adapter_of
from tests.support.scoring import PROMPTS, TOLERANCE, largest_difference, open_local, questions
from tests.support.tiny_models import make_tiny_model

# Dozens of networks are made by peft and torn down again.
pytestmark = pytest.mark.slow

WIDE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_key_value_heads": 4,
    "head_dim": 16,
}  # as 4 bits need it


@pytest.fixture
def base(home: Path) -> Path:
    return make_tiny_model(home / "models" / "base", "single-digit")


def merged(base: Path, adapter: Path, path: Path) -> Path:
    """The whole model that base and adapter make together, as peft merges them, with the base's tokenizer."""
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    PeftModel.from_pretrained(plain, adapter).merge_and_unload().save_pretrained(path)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (path / name).write_bytes((base / name).read_bytes())
    return path


def test_an_adapter_answers_as_the_model_that_it_makes_when_merged(base: Path, home: Path) -> None:
    adapter = make_adapter(base, home / "adapters" / "first", 1)
    whole = merged(base, adapter, home / "models" / "whole")
    found = answer_all(open_local(adapter, precision="fp32"), questions())
    assert largest_difference(found, answer_all(open_local(whole, precision="fp32"), questions())) < TOLERANCE
    assert largest_difference(found, answer_all(open_local(base, precision="fp32"), questions())) > 0.01


def test_adapters_are_switched_without_loading_the_base_again(base: Path, home: Path) -> None:
    paths = [base, *(make_adapter(base, home / "adapters" / str(seed), seed) for seed in (1, 2))]
    alone: list[list[Answer]] = []
    for path in paths:
        alone.append(answer_all(open_local(path, precision="fp32"), questions()))
    models = [open_local(path, precision="fp32") for path in paths]
    weights = {id(model._network().model) for model in models}
    assert len(weights) == 1
    running = [model.answer(questions()) for model in models for _ in range(2)]
    for _ in range(2):
        for place in (2, 0, 1, 0, 2, 1):
            expected = alone[place]
            assert largest_difference(answer_all(models[place], questions()), expected) < TOLERANCE
    for place, answers in enumerate(running):  # begun before the others switched the adapter
        found = dict(pair for batch in answers for pair in batch.items())
        in_order = [found[position] for position in range(len(found))]
        assert largest_difference(in_order, alone[place // 2]) < TOLERANCE


@pytest.mark.parametrize("precision", ["bf16", "nf4"])
def test_an_adapter_works_over_bf16_and_over_4_bit_weights(precision: str, home: Path) -> None:
    base = make_tiny_model(home / "models" / "wide", "single-digit", **WIDE)
    adapter = make_adapter(base, home / "adapters" / "first", 1)
    exact = answer_all(open_local(adapter, precision="fp32"), questions(PROMPTS[:1]))
    model = open_local(adapter, precision=precision)
    near = answer_all(model, questions(PROMPTS[:1]))
    plain = answer_all(open_local(base, precision=precision), questions(PROMPTS[:1]))
    assert largest_difference(near, plain) > 0.01
    assert largest_difference(near, exact) < largest_difference(plain, exact)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "nf4"])
def test_an_adapter_answers_in_the_number_format_of_its_base(precision: Precision, home: Path) -> None:
    base = make_tiny_model(home / "models" / "wide", "single-digit", **WIDE)
    model = open_local(make_adapter(base, home / "adapters" / "first", 1), precision=precision)
    answer_all(model, questions(PROMPTS[:1]))
    tuned = model._ready_network().model
    computing = tuned.get_input_embeddings().weight.dtype
    parts = {name: weight.dtype for name, weight in tuned.named_parameters() if "lora_" in name}
    assert parts and set(parts.values()) == {computing}
    inputs = []
    hooks = [
        module.register_forward_hook(
            lambda _module, given, output: inputs.append((given[0].dtype, output.dtype))
        )
        for name, module in tuned.named_modules()
        if "lora_" in name and isinstance(module, torch.nn.Linear)
    ]
    answer_all(model, questions(PROMPTS[:1]))
    for hook in hooks:
        hook.remove()
    assert set(inputs) == {(computing, computing)}  # no layer converts what it reads
    assert model.card.adapter_precision == {torch.bfloat16: "bf16"}.get(computing, "")


def test_an_adapter_in_bf16_drifts_as_far_as_its_merged_model_does(base: Path, home: Path) -> None:
    def drift(path: Path, *, adapter_in_fp32: bool = False) -> float:
        """The mean total variation between answers in fp32 and in bf16."""
        exact = answer_all(open_local(path, precision="fp32"), questions())
        model = open_local(path, precision="bf16")
        if adapter_in_fp32:  # as peft keeps it
            for name, weight in model._ready_network().model.named_parameters():
                if "lora_" in name:
                    weight.data = weight.data.float()
        rounded = answer_all(model, questions())
        pairs = zip(exact, rounded, strict=True)
        return float(np.mean([0.5 * np.abs(a.probabilities - b.probabilities).sum() for a, b in pairs]))

    drifts = []
    for seed in range(1, 5):
        adapter = make_adapter(base, home / "adapters" / str(seed), seed)
        whole = merged(base, adapter, home / "models" / f"whole{seed}")
        drifts.append((drift(adapter), drift(adapter, adapter_in_fp32=True), drift(whole)))
    in_bf16, in_fp32, whole_model = np.mean(drifts, axis=0)
    assert 0 < in_bf16 < 1.25 * in_fp32  # .047 and .044, and .053 when merged
    assert in_bf16 < 1.25 * whole_model


def test_only_adapters_over_less_than_fp32_have_another_fingerprint_than_before(
    base: Path, home: Path
) -> None:
    adapter = make_adapter(base, home / "adapters" / "first", 1)

    def before(model: LocalResponder) -> str:
        card = {name: value for name, value in model.card.as_dict().items() if name != "adapter_precision"}
        return digest(card)

    for path, precision in ((base, "fp32"), (base, "bf16"), (adapter, "fp32")):
        model = open_local(path, precision=precision)
        assert model.fingerprint == before(model)
    model = open_local(adapter, precision="bf16")
    assert model.fingerprint != before(model)


def test_an_adapter_is_listed_counted_and_told_apart_from_its_base(base: Path, home: Path) -> None:
    adapter = make_adapter(base, home / "adapters" / "first", 1)
    assert "first" in {card.name for card in list_models() if card.installed}
    assert count_tokens("first", PROMPTS[0]) == count_tokens("base", PROMPTS[0])
    assert context_limit("first") == context_limit("base")
    before = model_revision("first")
    assert before != model_revision("base")
    card = open_responder("first", precision="fp32").card
    assert (card.name, card.model) == ("first", "base")
    make_adapter(base, adapter, 2)
    assert model_revision("first") != before


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"base_model_name_or_path": "nobody"}, "no model"),
        ({"peft_type": "IA3"}, "not plain LoRA"),
        ({"modules_to_save": ["lm_head"]}, "Merge it into its base"),
    ],
)
def test_an_adapter_that_cannot_be_opened_ends_in_a_sentence(
    settings: dict[str, object], sentence: str, base: Path, home: Path
) -> None:
    spoil(make_adapter(base, home / "adapters" / "first", 1), **settings)
    with pytest.raises(UserError, match=sentence):
        open_responder("first")


def test_an_adapter_of_another_shape_or_in_pickle_ends_in_a_sentence(base: Path, home: Path) -> None:
    adapter = make_adapter(base, home / "adapters" / "first", 1)
    other = make_tiny_model(home / "models" / "other", "single-digit", hidden_size=64, head_dim=16)
    spoil(adapter, base_model_name_or_path=str(other))
    whole = answer_all(open_local(other, precision="fp32"), questions())
    for _ in range(2):
        with pytest.raises(UserError, match="does not fit its base model"):
            answer_all(open_local(adapter, precision="fp32"), questions())
    unchanged = answer_all(open_local(other, precision="fp32"), questions())
    assert largest_difference(unchanged, whole) < TOLERANCE
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(UserError, match="has no 'adapter_model"):
        open_responder(str(adapter))


def test_an_adapter_that_was_trained_anew_in_its_folder_answers_anew(base: Path, home: Path) -> None:
    adapter = make_adapter(base, home / "adapters" / "first", 1)
    before = open_local(adapter, precision="fp32")
    old = answer_all(before, questions(PROMPTS[:1]))
    make_adapter(base, adapter, 2)
    after = open_local(adapter, precision="fp32")
    new = answer_all(after, questions(PROMPTS[:1]))
    assert before.fingerprint != after.fingerprint
    assert largest_difference(new, old) > 0.01
    elsewhere = open_local(make_adapter(base, home / "adapters" / "second", 2), precision="fp32")
    assert largest_difference(new, answer_all(elsewhere, questions(PROMPTS[:1]))) < TOLERANCE


def test_only_one_base_model_is_in_memory(base: Path, home: Path) -> None:
    other = make_tiny_model(home / "models" / "other", "single-digit", hidden_size=64, head_dim=16)
    first, second = open_local(base), open_local(other)
    answer_all(first, questions(PROMPTS[:1]))
    answer_all(second, questions(PROMPTS[:1]))
    assert isinstance(first, LocalResponder)
    network = second._network()
    assert open_network(second._folder.base, second._base_revision, "auto") is network
    assert first._network() is not network


KINDS_OF_LORA: dict[
    str, tuple[dict[str, Any], str]
] = {  # settings of peft, and what is said of it where it is refused
    "plain": ({}, ""),
    "rank-stabilised": ({"use_rslora": True}, ""),
    "bias of its own": ({"lora_bias": True}, ""),
    "embeddings too": ({"target_modules": [*LAYERS, "embed_tokens"]}, ""),
    "trained biases": ({"bias": "all"}, "changes its base model's own weights"),
    "biases of its layers": ({"bias": "lora_only"}, "changes its base model's own weights"),
    "a start that changes its base": (
        {"init_lora_weights": "pissa"},
        "a base model that its training changed",
    ),
    "another start that does": ({"init_lora_weights": "olora"}, "a base model that its training changed"),
    "weight-decomposed": ({"use_dora": True}, "is not plain LoRA"),
    "whole layers": ({"modules_to_save": ["lm_head"]}, "is not plain LoRA"),
    "single tokens": ({"trainable_token_indices": [1, 2]}, "is not plain LoRA"),
    "layers twice": ({"layer_replication": [[0, 2], [1, 3]]}, "is not plain LoRA"),
    "a cut base": ({"kasa_config": KasaConfig()}, "is not plain LoRA"),
    "a rank for each layer": ({"rank_pattern": {"v_proj": 2}, "alpha_pattern": {"v_proj": 32}}, ""),
    "an expression": ({"target_modules": r".*\.(q_proj|v_proj)"}, ""),
    "only some layers": ({"layers_to_transform": [1], "exclude_modules": ["v_proj"]}, ""),
}
# Ways to start that need data or gradients; the adapter that they leave differs from a plain one only in its settings.
STARTS = {
    "eva": "",
    "gaussian": "",
    "orthogonal": "",
    "corda": "a base model that its training changed",
    "loftq": "a base model that its training changed",
    "lora_ga": "a base model that its training changed",
    "pissa_niter_4": "a base model that its training changed",
    "mica": "is not a known way to start",
}


@pytest.mark.parametrize("kind", KINDS_OF_LORA)
def test_no_adapter_changes_its_base_for_later_jobs(base: Path, home: Path, kind: str) -> None:
    settings, refusal = KINDS_OF_LORA[kind]
    before = answer_all(open_local(base, precision="fp32"), questions())
    path = home / "adapters" / "one"
    plain: dict[str, Any] = {
        "r": 4,
        "target_modules": LAYERS,
        "init_lora_weights": False,
        "task_type": "CAUSAL_LM",
    }
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tuned = get_peft_model(model, LoraConfig(**(plain | settings)))
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if weight.requires_grad and "lora_" not in name:
                weight.add_(0.5)
    tuned.save_pretrained(
        str(path), save_embedding_layers=False
    )  # a copy of the base's is refused, see below
    if refusal:
        with pytest.raises(UserError, match=refusal):
            answer_all(open_local(path, precision="fp32"), questions())
    else:
        assert largest_difference(answer_all(open_local(path, precision="fp32"), questions()), before) > 0.001
    after = answer_all(open_local(base, precision="fp32"), questions())
    assert largest_difference(after, before) == 0


@pytest.mark.parametrize("start", STARTS)
def test_an_adapter_is_used_or_refused_by_how_its_training_started(
    base: Path, home: Path, start: str
) -> None:
    before = answer_all(open_local(base, precision="fp32"), questions(PROMPTS[:1]))
    adapter = make_adapter(base, home / "adapters" / "one", 1)
    plain = answer_all(open_local(adapter, precision="fp32"), questions(PROMPTS[:1]))
    spoil(adapter, init_lora_weights=start)
    if STARTS[start]:
        with pytest.raises(UserError, match=STARTS[start]):
            open_local(adapter, precision="fp32")
    else:
        answers = answer_all(open_local(adapter, precision="fp32"), questions(PROMPTS[:1]))
        assert largest_difference(answers, plain) == 0
    after = answer_all(open_local(base, precision="fp32"), questions(PROMPTS[:1]))
    assert largest_difference(after, before) == 0


@pytest.mark.parametrize("kind", sorted(kind.value for kind in PEFT_TYPE_TO_CONFIG_MAPPING))
def test_every_kind_that_peft_knows_is_used_or_refused_with_a_remedy_that_works(
    base: Path, home: Path, kind: str
) -> None:
    before = answer_all(open_local(base, precision="fp32"), questions(PROMPTS[:1]))
    adapter = home / "adapters" / "one"
    if kind == "XLORA":  # a mixture of other adapters, which have to exist
        spoil(make_adapter(base, adapter, 1), peft_type=kind)
    else:
        tuned = with_adapter_of(kind, base)
        tuned.save_pretrained(str(adapter))
    if kind == "LORA":
        open_local(adapter, precision="fp32")
    else:
        with pytest.raises(UserError, match="not plain LoRA") as refused:
            open_local(adapter, precision="fp32")
        if "merge_and_unload" in str(refused.value):
            tuned.merge_and_unload()
        else:
            assert "Train a LoRA adapter instead" in str(refused.value)
            assert kind == "XLORA" or cannot_merge(tuned)
    after = answer_all(open_local(base, precision="fp32"), questions(PROMPTS[:1]))
    assert largest_difference(after, before) == 0


def test_an_adapter_that_a_newer_peft_made_is_refused_with_what_is_unknown(base: Path, home: Path) -> None:
    adapter = make_adapter(base, home / "adapters" / "one", 1)
    spoil(adapter, invented_later=False, auto_mapping={"base_model_class": "LlamaForCausalLM"})
    open_local(adapter, precision="fp32")
    spoil(adapter, invented_later={"rank": 2})
    with pytest.raises(UserError, match=r"not plain LoRA \(invented_later\). Merge it"):
        open_local(adapter, precision="fp32")


def test_a_stop_while_an_adapter_is_opened_leaves_no_half_changed_base(
    base: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answer_all(open_local(base, precision="fp32"), questions(PROMPTS[:1]))
    adapter = make_adapter(base, home / "adapters" / "one", 1)
    usual = adapters.attach

    def stopped(*given: Any, **more: Any) -> Any:
        tuned = usual(*given, **more)
        with torch.no_grad():
            next(weight for name, weight in tuned.named_parameters() if "lora_" not in name).mul_(2)
        raise KeyboardInterrupt

    monkeypatch.setattr(adapters, "attach", stopped)
    with pytest.raises(KeyboardInterrupt):
        answer_all(open_local(adapter, precision="fp32"), questions(PROMPTS[:1]))
    after = answer_all(open_local(base, precision="fp32"), questions(PROMPTS[:1]))
    assert largest_difference(after, before) == 0


def test_an_adapter_of_experts_leaves_its_base_as_it_was(home: Path) -> None:
    base = make_tiny_model(
        home / "models" / "experts", "single-digit", "mixtral", num_local_experts=4, num_experts_per_tok=2
    )
    before = answer_all(open_local(base, precision="fp32"), questions(PROMPTS[:1]))
    adapter = home / "adapters" / "one"
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(
        r=2,
        target_modules=[],
        target_parameters=["experts.gate_up_proj", "experts.down_proj"],
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    get_peft_model(model, config).save_pretrained(str(adapter))
    answers = answer_all(open_local(adapter, precision="fp32"), questions(PROMPTS[:1]))
    assert largest_difference(answers, before) > 0.0001
    after = answer_all(open_local(base, precision="fp32"), questions(PROMPTS[:1]))
    assert largest_difference(after, before) == 0


def test_an_adapter_file_with_weights_of_the_base_in_it_is_refused(base: Path, home: Path) -> None:
    adapter = make_adapter(base, home / "adapters" / "one", 1)
    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    plain = AutoModelForCausalLM.from_pretrained(base)
    embeddings = plain.get_input_embeddings().get_parameter("weight").detach().clone()
    save_file({**weights, "base_model.model.model.embed_tokens.weight": embeddings + 1}, file)
    with pytest.raises(UserError, match=r"such as biases or embeddings \(.*embed_tokens"):
        open_local(adapter, precision="fp32")


def test_a_change_of_the_base_that_no_setting_shows_is_noticed_and_the_model_let_go(
    base: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answer_all(open_local(base, precision="fp32"), questions())
    adapter = make_adapter(base, home / "adapters" / "one", 1)
    usual = adapters.attach

    def careless(model: Any, path: Path, name: str = "default", **more: Any) -> Any:
        tuned = usual(model, path, name, **more)
        with torch.no_grad():
            next(each for key, each in tuned.named_parameters() if "lora_" not in key).mul_(2)
        return tuned

    monkeypatch.setattr(adapters, "attach", careless)
    with pytest.raises(UserError, match="changed its base model's own weights while it was opened"):
        answer_all(open_local(adapter, precision="fp32"), questions())
    assert largest_difference(answer_all(open_local(base, precision="fp32"), questions()), before) == 0
