"""When a run stops by itself: unreadable pictures and numbers that are not finite, by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from headstart.errors import TrainingError
from headstart.index import AnnotationIndex
from headstart.loader import Mixture
from headstart.progress import Progress
from headstart.records import Batch
from headstart.safeguards import first_not_finite, note_unreadable, one_line_if_out_of_memory


def batch(size: int, unreadable: int) -> Batch:
    """``size`` samples of the first people of the first data set, the first of them unreadable."""
    nothing = torch.zeros(size)
    fields = dict.fromkeys(Batch.__dataclass_fields__, nothing)
    rows = torch.arange(size) % 20
    return Batch(**{**fields, "row": rows, "dataset": nothing.long(), "readable": torch.arange(size) >= unreadable})


@pytest.fixture
def mixture(index_2d: AnnotationIndex) -> Mixture:
    return Mixture([index_2d], [None], ())


@pytest.mark.parametrize(
    ("updates", "size", "listed", "stops"),
    [
        (0, 32, 4, False),  # five of at least 500
        (0, 32, 5, True),
        (699, 32, 223, False),  # 224 of 22,400 samples in all stages so far
        (699, 32, 224, True),
        (699, 8, 55, False),  # one of four processes: 56 of its own 5,600
        (699, 8, 56, True),
    ],
)
def test_one_in_a_hundred_samples_of_all_stages_may_be_unreadable(
    mixture: Mixture, updates: int, size: int, listed: int, stops: bool
) -> None:
    """Whatever the step in the stage, which begins at 0 again."""
    progress = Progress(stage=1, step=3, updates=updates, unreadable=[f"{n}.jpg" for n in range(listed)])
    if stops:
        with pytest.raises(TrainingError, match=f"{listed + 1} among"):
            note_unreadable(progress, batch(size, 1), mixture)
    else:
        note_unreadable(progress, batch(size, 1), mixture)
        note_unreadable(progress, batch(size, 1), mixture)
        assert len(progress.unreadable) == listed + 1
        assert Path(progress.unreadable[-1]) == mixture.indexes[0][0].image


@pytest.mark.parametrize(
    ("losses", "first"),
    [([1.0, 2.0], None), ([1.0, math.nan, math.inf], 1), ([-math.inf, 1.0], 0), ([0.0, 1e38, math.nan], 2)],
)
def test_the_first_loss_that_is_not_finite(losses: list[float], first: int | None) -> None:
    assert first_not_finite(torch.tensor(loss) for loss in losses) == first


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory.\nTried"),
            r"^CUDA out of memory\. Begin anew with a smaller --micro-batch",
        ),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. "), r"Bus error\. If memory was full"),
    ],
)
def test_too_little_memory_is_one_line(error: RuntimeError, says: str) -> None:
    with pytest.raises(TrainingError, match=says) as caught, one_line_if_out_of_memory():
        raise error
    assert "\n" not in str(caught.value)


def test_other_errors_stay_as_they_are() -> None:
    """An error of a worker's own code names the worker too."""
    error = RuntimeError("Caught RuntimeError in DataLoader worker process 0.")
    with pytest.raises(RuntimeError) as caught, one_line_if_out_of_memory():
        raise error
    assert caught.value is error
