"""Other ways to answer the same questions with the same weights: generate, lm-evaluation-harness, llama.cpp."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from socrates_core.models.local.responder import LocalResponder
from socrates_core.models.model_folder import find_model
from socrates_core.records import Floats, Question

Scorer = Callable[[Sequence[Question]], list[Floats]]  # the distribution over each question's options
N_BATCH = 16


def open_plainly() -> Any:
    """The starter model as transformers opens it."""
    path = find_model("starter")
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16, local_files_only=True).eval()


def generate(model: Any, responder: LocalResponder, asked: Sequence[Question]) -> int:
    """One sampled answer a prompt by transformers' generate, batches of similar length."""
    prompts = sorted(responder.chat.encode([each.prompt for each in asked]), key=len)
    for start in range(0, len(prompts), N_BATCH):
        batch = prompts[start : start + N_BATCH]
        tokens, seen = (torch.zeros((len(batch), len(batch[-1])), dtype=torch.long) for _ in range(2))
        for row, prompt in enumerate(batch):
            tokens[row, -len(prompt) :] = torch.from_numpy(prompt)
            seen[row, -len(prompt) :] = 1
        model.generate(tokens, attention_mask=seen, do_sample=True, max_new_tokens=2, pad_token_id=0)
    return len(prompts)


def open_harness(model: Any, responder: LocalResponder) -> Scorer | None:
    """lm-evaluation-harness scoring every option of a question, where it is installed."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ModuleNotFoundError as error:
        print(f"lm-eval is left out ({error}). Run: pip install -r benchmarks/requirements.txt")
        return None
    tokenizer = AutoTokenizer.from_pretrained(find_model("starter"), local_files_only=True)
    scorer = HFLM(pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=N_BATCH)

    def score(asked: Sequence[Question]) -> list[Floats]:
        pairs = [(responder.chat.render(each.prompt), option) for each in asked for option in each.options]
        requests = [Instance("loglikelihood", {}, pair, place) for place, pair in enumerate(pairs)]
        found = iter(scorer.loglikelihood(requests, disable_tqdm=True))
        return [_normalised(np.array([next(found)[0] for _ in each.options])) for each in asked]

    return score


def open_llama(responder: LocalResponder) -> Scorer | None:
    """llama.cpp reading each prompt and giving its next token's probabilities, where it is installed.

    It keeps what two prompts in a row begin with alike, as it does by itself.
    """
    try:
        from llama_cpp import Llama
    except ModuleNotFoundError as error:
        print(f"llama.cpp is left out ({error}). Run: pip install -r benchmarks/requirements.txt")
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = write_gguf(find_model("starter"), Path(folder) / "starter.gguf")
        model = Llama(
            str(file),
            n_ctx=2048,
            n_threads=torch.get_num_threads(),
            n_threads_batch=torch.get_num_threads(),
            n_batch=2048,
            n_ubatch=2048,
            logits_all=False,
            verbose=False,
        )

    def score(asked: Sequence[Question]) -> list[Floats]:
        found = []
        for each, prompt in zip(asked, responder.chat.encode([each.prompt for each in asked]), strict=True):
            tokens = prompt.tolist()
            kept = min(_common(tokens, model.input_ids[: model.n_tokens].tolist()), len(tokens) - 1)
            model.n_tokens = kept
            model.eval(tokens[kept:])
            logits = np.ctypeslib.as_array(model._ctx.get_logits(), shape=(model.n_vocab(),))
            tree = responder.chat.tree(each.options)
            found.append(_normalised(logits[tree.token[tree.option_node]].astype(np.float64)))
        return found

    return score


def write_gguf(source: Path, target: Path) -> Path:
    """The Llama-shaped model in `source` as a GGUF file of the same bf16 weights; norms in fp32, as usual there."""
    import gguf

    config = json.loads((source / "config.json").read_text())
    vocabulary = json.loads((source / "tokenizer.json").read_text())
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    theta = config.get("rope_theta") or (config.get("rope_parameters") or {}).get("rope_theta", 10000.0)
    writer.add_rope_freq_base(theta)
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    tokens = {index: text for text, index in vocabulary["model"]["vocab"].items()}
    tokens |= {each["id"]: each["content"] for each in vocabulary["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([tokens.get(index, f"[PAD{index}]") for index in range(config["vocab_size"])])
    writer.add_token_types([gguf.TokenType.NORMAL] * config["vocab_size"])
    writer.add_token_merges(
        [each if isinstance(each, str) else " ".join(each) for each in vocabulary["model"]["merges"]]
    )
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, local_files_only=True)
    for name, weights in model.state_dict().items():
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        gguf_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert gguf_name is not None, f"GGUF has no name for the weights {name!r}"
        if weights.ndim == 1:
            writer.add_tensor(gguf_name, weights.numpy())
        else:
            raw = _paired(name, weights, config).to(torch.bfloat16).view(torch.uint8).numpy()
            writer.add_tensor(gguf_name, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _paired(name: str, weights: torch.Tensor, config: dict[str, Any]) -> torch.Tensor:
    """Query and key weights with the two halves of each rotated pair next to each other, as llama.cpp keeps them."""
    for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
        if part in name:
            return weights.view(config[heads], 2, -1, weights.shape[1]).swapaxes(1, 2).reshape(weights.shape)
    return weights


def _common(a: list[int], b: list[int]) -> int:
    return next(
        (place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def _normalised(log_likelihoods: Floats) -> Floats:
    relative = np.exp(log_likelihoods - log_likelihoods.max())
    return np.asarray(relative / relative.sum(), dtype=np.float64)
