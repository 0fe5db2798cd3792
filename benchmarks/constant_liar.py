"""What constant liar does for TPE when many trials run at once: the documentation's experiment, repeated and plotted.

The documentation of parallel TPE minimises a function made of Gaussians over two variables, with 240 trials of which 10
to 80 run at the same time, and compares the best results with and without constant liar. Its function is not published;
this is one of the same kind, drawn anew for every repetition::

    python benchmarks/constant_liar.py --repeats 100 --plot constant_liar.png
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np

from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner

REFERENCE = {80: 0.440, 60: 0.422, 40: 0.318, 20: 0.357, 10: 0.691}
"""Mean best with constant liar, as a share of that without, as published."""

SPACE = {name: {"_type": "uniform", "_value": [-5, 5]} for name in "xy"}
TRIALS = 240
BUMPS = 12


class Mixture:
    """One minus a mixture of narrow and wide Gaussians, scaled so that the best value is 0."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.centres = rng.uniform(-4.5, 4.5, (BUMPS, 2))
        self.widths = rng.uniform(0.15, 0.9, BUMPS)
        self.heights = np.append(rng.uniform(0.2, 0.7, BUMPS - 1), 1.0)
        grid = np.stack(np.meshgrid(*[np.linspace(-5, 5, 401)] * 2), axis=-1).reshape(-1, 2)
        around = self.centres[:, None] + rng.normal(0, 0.05, (BUMPS, 200, 2))
        self.top = max(self.sum(grid).max(), self.sum(around.reshape(-1, 2)).max())

    def sum(self, points: np.ndarray) -> np.ndarray:
        squared = ((points[:, None] - self.centres[None]) ** 2).sum(axis=2)
        return (self.heights * np.exp(-0.5 * squared / self.widths**2)).sum(axis=1)

    def __call__(self, x: float, y: float) -> float:
        return float(1 - self.sum(np.array([[x, y]]))[0] / self.top)


def best(concurrency: int, seed: int, lie: str | None) -> float:
    """Return the best of 240 trials."""
    function = Mixture(seed)
    tuner = HyperoptTuner("tpe", "minimize", lie is not None, lie or "min", seed=seed)
    tuner.update_search_space(SPACE)
    found = []
    for start in range(0, TRIALS, concurrency):
        batch = [(n, tuner.generate_parameters(n)) for n in range(start, min(start + concurrency, TRIALS))]
        for number, parameters in batch:
            found.append(function(**parameters))
            tuner.receive_trial_result(number, parameters, found[-1])
            tuner.trial_end(number, success=True)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--concurrency", default="10,20,40,60,80")
    parser.add_argument("--lie", choices=("min", "mean", "max"), default="min")
    parser.add_argument("--plot", help="file to draw into, such as constant_liar.png")
    arguments = parser.parse_args()
    rows = []
    print("| concurrency | without: mean | variance | with: mean | variance | ratio | published |")
    print("|---|---|---|---|---|---|---|")
    for concurrency in map(int, arguments.concurrency.split(",")):
        without = [best(concurrency, seed, None) for seed in range(arguments.repeats)]
        with_liar = [best(concurrency, seed, arguments.lie) for seed in range(arguments.repeats)]
        means, variances = [list(map(f, (without, with_liar))) for f in (statistics.mean, statistics.pvariance)]
        rows.append((concurrency, *means))
        print(
            f"| {concurrency} | {means[0]:.4f} | {variances[0]:.4f} | {means[1]:.4f} | {variances[1]:.4f} "
            f"| {means[1] / means[0]:.3f} | {REFERENCE.get(concurrency, float('nan')):.3f} |",
            flush=True,
        )
    if arguments.plot:
        draw(rows, arguments.plot)


def draw(rows: list[tuple[int, float, float]], path: str) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = sorted(rows)
    figure, axes = plt.subplots(figsize=(6, 4))
    for column, label in ((1, "TPE"), (2, "TPE with constant liar")):
        axes.plot([row[0] for row in rows], [row[column] for row in rows], marker="o", label=label)
    axes.set(xlabel="trials at the same time", ylabel="mean best of 240 trials", ylim=(0, None))
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
