"""Tests that were added to a study after its cells were trained: scored with the final weights of the cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from headstart.checkpoint import Checkpoint, git_sha, load_checkpoint, load_weights
from headstart.devices import device_name
from headstart.errors import ConfigError
from headstart.experiment import Experiment
from headstart.preparation import build_network, new_accelerator
from headstart.results import RunResult, Scores, StageCost
from headstart.validation import names_of, rehearse, scored_labels, validate


def require_weights(result: RunResult, tests: Iterable[str], last: Path) -> None:
    """Raises :class:`ConfigError` if a result lacks a test, and the weights that could be scored are gone."""
    if (missing := result.not_scored(tests)) and not last.is_file():
        raise ConfigError(
            f"{result.name} is finished, but not scored under {', '.join(missing)}, and its weights are gone: expected"
            f" {last}, which --keep leaves. Take these tests out again to keep its result, or choose another --out to"
            " train it again"
        )


def with_added_tests(experiment: Experiment, last: Path, result: RunResult) -> RunResult:
    """The result with a score, as at the end of the run, under each protocol of the experiment that it lacks.

    ``last`` is the checkpoint that the run ended with. Scores and curves that the result has stay as they are; curves
    under the added protocols cannot be made. Raises :class:`ConfigError` if the weights are gone, or of another run.
    """
    names = names_of(experiment.validation)
    missing = result.not_scored(names)
    if not missing:
        return result
    require_weights(result, missing, last)
    wanted = tuple(one for one, name in zip(experiment.validation, names) if name in missing)
    later = replace(experiment, validation=wanted)
    scores, labels, device = _scores(later, last, _weights_of(result, last))
    scored_by = {"git_sha": git_sha(), "device": device}
    return replace(
        result,
        scores=[*result.scores, *scores],
        test_labels={**result.test_labels, **labels},
        scored_later={**result.scored_later, **{name: dict(scored_by) for name in missing}},
    )


def _weights_of(result: RunResult, last: Path) -> Checkpoint:
    """The checkpoint if it is that of the result's run: no two runs take the same seconds for their stages."""
    found = load_checkpoint(last, ("model", "ema"))
    if [StageCost(**cost) for cost in found.header["progress"]["costs"]] != result.stages:
        raise ConfigError(
            f"{last}: expected the weights that {result.name} ended with, found those of another run: give the --work"
            " that it was run in"
        )
    return found


def _scores(experiment: Experiment, last: Path, saved: Checkpoint) -> tuple[list[Scores], dict[str, str], str]:
    """Scores under every protocol of the experiment with the averaged weights, if there are any.

    Beside them digests of the labels (:func:`scored_labels`), and the device.
    """
    accelerator = new_accelerator(experiment.precision)
    network = build_network(experiment, saved, last, accelerator.device)
    if average := saved.part("ema"):
        load_weights(network, average, last)
    validations = rehearse(experiment, network.skeleton)
    scores = validate(experiment, validations, network, network.codec, None, accelerator, final=True)
    accelerator.end_training()
    return scores, scored_labels(validations), device_name(accelerator.device)
