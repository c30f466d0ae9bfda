"""What a card is asked to do at the true shapes of 8B and 14B models, held to committed figures; no card is needed.

A change that costs launches, memory, products in fp32, or puts a tensor on the wrong device, is seen here. Each
count has a process of its own, since the made-up device stays in the process that made it.
"""

import pytest
import torch

from benchmarks import reading_cost
from benchmarks.committed import read_table
from benchmarks.reading_cost import CASES, Case, Cost, count
from socrates_core.models.local import network
from tests.support.alone import alone

TABLE = read_table(reading_cost.TABLE, CASES, Cost)


def test_every_case_has_a_committed_figure_without_a_product_in_fp32() -> None:
    assert set(TABLE) == set(CASES)
    assert {cost.fp32_products for cost in TABLE.values()} == {0}
    for case, cost in TABLE.items():
        # Next to 16 and 30 GB of weights: what the product leaves free for it.
        assert cost.peak < 2.5e9
        if case.attention == "blocks":
            assert cost.kernels < TABLE[Case(case.model, case.adapter, "tiles", case.n_tokens)].kernels / 3


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, vars(case).values())))
def test_reading_costs_what_is_committed(case: Case) -> None:
    counted, committed = alone(count, case), TABLE[case]
    assert counted == Cost(
        committed.kernels,
        committed.fp32_products,
        pytest.approx(committed.peak, rel=0.01),  # type: ignore[arg-type]
    )


def count_in_fp32(case: Case) -> Cost:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_cost, "convert_adapter", lambda *_: None)
        return count(case)


@pytest.mark.slow
def test_an_adapter_in_fp32_would_be_seen() -> None:
    case = Case("Llama-3-8B", True, "blocks", 4096)
    counted = alone(count_in_fp32, case)
    assert counted.fp32_products == 2 * 7  # two in each of a layer's seven matrices
    assert counted.kernels > TABLE[case].kernels


def complaint_of_the_wrong_device(case: Case) -> str:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError) as raised:
        patch.setattr(network.Network, "tensor", lambda _self, values: torch.from_numpy(values))
        count(case)
    return str(raised.value)  # the error itself cannot go from one process to another


@pytest.mark.slow
def test_a_tensor_on_the_wrong_device_would_be_seen() -> None:
    case = Case("Llama-3-8B", False, "blocks", 4096)
    assert "device" in alone(complaint_of_the_wrong_device, case)
