"""python -m benchmarks.numbers [--quick] [--only NAME]: what intervals promise next to what they hold.

Each simulation is a module of this folder with `simulate(n_simulations, generator)`, which yields its results.
"""

import argparse
import importlib
import time

import numpy as np

SEED = 21
# Data sets a simulation: enough for a standard error of a share of 95% of .5 and .2 points.
QUICK, FULL = 2_000, 10_000
SIMULATIONS: tuple[str, ...] = ("studies", "verdict", "oracle", "parity", "design", "power")


def main() -> None:
    """Prints the table, a line as soon as it is known."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="fewer data sets: under ten minutes in all")
    options.add_argument(
        "--only", choices=SIMULATIONS, action="append", help="one simulation; may be repeated"
    )
    chosen = options.parse_args()
    n_simulations = QUICK if chosen.quick else FULL
    print(f"{'':72} {'nominal':>8} {'actual':>8} {'error':>7} {'data sets':>10}")
    for name in chosen.only or SIMULATIONS:
        began = time.monotonic()
        module = importlib.import_module(f"benchmarks.numbers.{name}")
        for result in module.simulate(n_simulations, np.random.default_rng(SEED)):
            print(
                f"{result.what:72} {result.nominal:8.3f} {result.actual:8.3f} {result.standard_error:7.3f} "
                f"{result.n_simulations:10,}",
                flush=True,
            )
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
