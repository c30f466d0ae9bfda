"""What a model takes on this machine before it is asked: precision, memory, download, and how fast it reads here.

`with_precision` resolves "auto" once, when work is frozen: run later by somebody else, or next to another program, it
gives the same answers.
"""

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from socrates_core.asking.request import ModelRequest
from socrates_core.asking.speed import read_speed
from socrates_core.errors import EDITED, UserError
from socrates_core.files import digest, read_json, write_json
from socrates_core.models import is_served, is_stand_in
from socrates_core.models.catalog import lacking_weights, released
from socrates_core.models.hub import bytes_to_fetch
from socrates_core.models.machine import Machine, this_machine
from socrates_core.models.model_folder import open_folder, read_config
from socrates_core.models.sizes import (
    GB,
    LEAST_ROOM,
    ROOM,
    ModelSize,
    choose_precision,
    size_of_config,
    size_of_shapes,
    stored_precision,
)
from socrates_core.models.weights import model_shapes
from socrates_core.records import Loaded
from socrates_core.settings import folder, ours_only

PROBED = 1_000_000_000  # numbers from which a model's speed on a processor is probed, not worked out
REACHED = 0.6  # share of the processor's rate that reading and training reach; measured between .5 and .9
PATIENCE = 120.0  # seconds for a probe: on a busy machine, loading torch alone takes many
PROBES = "probes.json"
MEASURED = "as fast as its last runs here"
# The shape of a model: what its speed depends on.
SHAPE = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
)


@dataclass(frozen=True)
class Resources:
    """What a local model takes here. `fits` is false if less than `memory` bytes are free.

    `n_bytes` would be fetched first, 0 if it is on this machine. `tokens_per_second` of prompts come from its runs
    here, else from a probe, else from how fast the processor multiplies, by `basis`; None if not known, with the
    reason as basis.
    """

    precision: Loaded
    machine: Machine
    memory: float
    n_bytes: int
    tokens_per_second: float | None
    basis: str

    @property
    def fits(self) -> bool:
        return self.memory <= self.machine.free

    @property
    def sentence(self) -> str:
        """Precision, memory and download, without the time."""
        where = self.machine.where
        memory = f"about {self.memory / GB:.1f} GB of memory"
        free = f"{self.machine.free / GB:.1f} GB are free in {where}"
        fit = f"{memory}; {free}." if self.fits else f"{memory}, but only {free}: it will not fit."
        fetch = f" {self.n_bytes / GB:.1f} GB are fetched first." if self.n_bytes else ""
        return f"In {self.precision}, {fit}{fetch}"


def with_precision(request: ModelRequest) -> ModelRequest:
    """The request with "auto" replaced by the precision that fits on this machine now.

    Raises UserError if there is no such model, or if not even 4 bits fit.
    """
    if request.precision != "auto" or is_stand_in(request.name) or is_served(request.name):
        return request
    known = _known(request.name)
    if known is None:  # the worker will choose, once the weights are here
        return request
    return replace(request, precision=_precision(request, known, this_machine()))


def resources(request: ModelRequest) -> Resources | None:
    """What a local model takes; None for other models and for one whose size is not known.

    May run a probe for some seconds. Raises UserError as `with_precision` does.
    """
    if is_stand_in(request.name) or is_served(request.name):
        return None
    known, machine = _known(request.name), this_machine()
    if known is None:
        return None
    precision = _precision(request, known, machine)
    speed, basis = _speed(replace(request, precision=precision), known, machine)
    packed = precision in ("int8", "nf4")
    memory = known.size.bytes_needed(precision, compact=machine.compact, room=LEAST_ROOM if packed else ROOM)
    return Resources(precision, machine, memory, known.n_bytes, speed, basis)


def reading_speed(request: ModelRequest) -> tuple[float | None, str]:
    """How many tokens of prompts a local model reads in a second here, and where that is known from.

    None if its size is not known or it cannot be measured, with the reason. May run a probe for some seconds.
    """
    known = _known(request.name)
    return (None, "its size is not known") if known is None else _speed(request, known, this_machine())


@dataclass(frozen=True)
class KnownModel:
    """A model's size and configuration; `n_bytes` would have to be fetched. `stored` is the precision of its files."""

    size: ModelSize
    config: Mapping[str, Any]
    n_bytes: int
    stored: Loaded | None = None


def _known(name: str) -> KnownModel | None:
    """What the model's files, or what is known of a released model, say of its size."""
    lacking = lacking_weights(name)
    if lacking and (model := released(lacking)):
        return KnownModel(model.base.size, model.base.config, model.n_bytes)
    base = open_folder(name, weights=False).base
    config = read_config(base)
    config = config.get("text_config") or config
    try:
        if lacking:
            n_bytes = bytes_to_fetch(lacking)
            return KnownModel(size_of_config(config, n_bytes), config, n_bytes) if n_bytes else None
        return KnownModel(size_of_shapes(model_shapes(base)), config, 0, stored_precision(read_config(base)))
    except EDITED:
        return None


def _precision(request: ModelRequest, known: KnownModel, machine: Machine) -> Loaded:
    return choose_precision(request.name, known.size, request.precision, machine, stored=known.stored)


def _speed(request: ModelRequest, known: KnownModel, machine: Machine) -> tuple[float | None, str]:
    measured = read_speed(request)
    if measured:
        return measured, MEASURED
    if machine.kind == "cpu" and known.size.n_numbers < PROBED:
        return REACHED * products_per_second() / (
            2 * known.size.n_numbers
        ), "by how fast this processor multiplies"
    try:
        return probed_speed(known.config, str(request.precision), machine.name), "by a probe of one layer"
    except UserError as error:
        return None, str(error)


def probed_speed(config: Mapping[str, Any], precision: str, machine: str) -> float:
    """Prompt tokens a second by a probe, which runs once for each shape and precision on a machine.

    Raises UserError if the probe fails.
    """
    path = folder("models") / PROBES
    key = probe_key(config, precision, machine)
    try:
        stored = read_json(path)
    except UserError:
        stored = {}
    stored = stored if isinstance(stored, dict) else {}
    speed = stored.get(key)
    if isinstance(speed, int | float) and speed > 0:
        return float(speed)
    speed = _probe(json.dumps({"config": _shape(config), "precision": precision}))
    write_json(path, {**stored, key: speed})
    return speed


def probe_key(config: Mapping[str, Any], precision: str, machine: str) -> str:
    """What a probe's speed is kept under."""
    return digest([_shape(config), precision, machine])[:16]


def _shape(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: config[name] for name in SHAPE if config.get(name) is not None}


@cache  # a failure too, as a text: a page asks at every rerun
def _tried(asked: str) -> tuple[float, str]:
    command, environment = ours_only("socrates_core.models.local.probe")
    try:
        done = subprocess.run(
            command,
            input=asked,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 0.0, f"The speed could not be measured within {PATIENCE:.0f} seconds."
    if done.returncode:
        cause = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return 0.0, f"The speed could not be measured here: {cause}"
    return float(json.loads(done.stdout.splitlines()[-1])["tokens_per_second"]), ""


def _probe(asked: str) -> float:
    speed, problem = _tried(asked)
    if problem:
        raise UserError(problem)
    return speed


@cache
def products_per_second() -> float:
    """Operations per second of a matrix product in fp32, the best of three; bf16 is faster if the processor has it."""
    matrix = np.ones((1024, 1024), dtype=np.float32)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - begun)
    return float(2 * 1024**3 / min(seconds))
