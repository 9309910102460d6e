"""Training curve of a run: loss and validation score against samples, from its result.json.

python benchmarks/plot_run.py runs/NAME/result.json curve.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

from headstart.results import RunResult


def main() -> None:
    """Read, plot, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="result.json of a run")
    parser.add_argument("picture", type=Path, help="file to write; its suffix decides the format")
    given = parser.parse_args()
    result = RunResult.load(given.result)
    figure, left = plt.subplots(figsize=(7, 4))
    right = left.twinx()
    logged = [row for row in result.history if "loss" in row]
    left.plot([row["samples"] for row in logged], [row["loss"] for row in logged], color="tab:blue")
    left.set(xlabel="training samples", ylabel="loss (blue)", title=f"{result.name}, seed {result.seed}")
    for score in result.scores:
        rows = [row for row in result.history if score.protocol in row]
        values = [row[score.protocol] for row in rows]
        right.plot([row["samples"] for row in rows], values, "o-", color="tab:orange", label=score.protocol)
    right.set_ylabel(f"validation while training, {result.scores[0].unit} (orange)")
    right.legend(loc="center right")
    figure.tight_layout()
    figure.savefig(given.picture, dpi=110)


if __name__ == "__main__":
    main()
