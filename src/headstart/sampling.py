"""Which person comes when: a pure function of the seed and the step, for any mixture of data sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from headstart.errors import ConfigError


@dataclass(frozen=True)
class Draw:
    """One sample of the stream."""

    dataset: int
    row: int
    epoch: int
    position: int
    """Within the epoch."""


def evenly_spread(length: int, count: int) -> NDArray[np.int64]:
    """``count`` positions, evenly spread from 0 to ``length - 1``; all of them if ``count`` is not smaller."""
    return np.linspace(0, length - 1, min(count, length)).round().astype(np.int64)


class MixtureSampler(Sampler[list[Draw]]):
    """An endless stream of batches from several data sets, shared out among processes.

    ``sizes``: people in use of each data set. ``weights``: their shares of an epoch, which has as many samples as there
    are people. Each data set is passed through in a new random order each time, so every person comes up once before
    any comes up twice. ``batch_size``: samples of a step over all ``processes``, of which this one is number ``rank``.
    ``start_step`` batches are skipped: a resumed run sees the same stream. ``rows`` restricts a data set to some of its
    people.

    Raises :class:`ConfigError` for a batch that cannot be shared evenly, and for a mixture with nothing to draw.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        weights: Sequence[float],
        batch_size: int,
        seed: int,
        *,
        start_step: int = 0,
        rank: int = 0,
        processes: int = 1,
        rows: Sequence[NDArray[np.int64] | None] | None = None,
    ) -> None:
        if batch_size % processes:
            raise ConfigError(f"batch_size {batch_size} must be a multiple of the {processes} processes")
        if not sizes or min(sizes) < 1 or min(weights) < 0 or sum(weights) <= 0:
            raise ConfigError(f"a mixture needs people and weights >= 0, got sizes {sizes}, weights {weights}")
        self.sizes, self.batch_size, self.seed, self.start_step = list(sizes), batch_size, seed, start_step
        self.shares = np.asarray(weights, np.float64) / sum(weights)
        self.rank, self.processes, self.rows = rank, processes, rows
        self.epoch_length = int(sum(sizes))
        self._totals = [np.zeros(len(sizes), np.int64)]

    def __iter__(self) -> Iterator[list[Draw]]:
        """This process's part of each batch, without end."""
        part = self.batch_size // self.processes
        step, epoch, draws = self.start_step, -1, np.empty((0, 2), np.int64)
        while True:
            first = step * self.batch_size + self.rank * part
            batch = []
            for position in range(first, first + part):
                wanted, offset = divmod(position, self.epoch_length)
                if wanted != epoch:
                    epoch, draws = wanted, self.epoch(wanted)
                dataset, row = draws[offset].tolist()
                batch.append(Draw(dataset, row, epoch, offset))
            yield batch
            step += 1

    def epoch(self, epoch: int) -> NDArray[np.int64]:
        """Data set and row (N, 2) of each position of an epoch."""
        parts = []
        for dataset, size in enumerate(self.sizes):
            begin, end = self._total(epoch)[dataset], self._total(epoch + 1)[dataset]
            rows = self._rows(dataset, size, int(begin), int(end))
            parts.append(np.stack([np.full_like(rows, dataset), rows], axis=1))
        draws = np.concatenate(parts)
        # The crop of position 0 draws from the same stream ([seed, epoch, 0] is [seed, epoch] to numpy): harmless, and
        # another one would change what every committed run has seen.
        return draws[np.random.default_rng([self.seed, epoch]).permutation(len(draws))]

    def batch(self, step: int) -> list[Draw]:
        """The draws of one step of all processes, for messages that name its samples."""
        whole = copy(self)
        whole.start_step, whole.rank, whole.processes = step, 0, 1
        return next(iter(whole))

    def _total(self, epochs: int) -> NDArray[np.int64]:
        """Draws of each data set in the first ``epochs`` epochs: within 1 of its share, and never fewer than before."""
        while len(self._totals) <= epochs:
            owed = self.shares * self.epoch_length * len(self._totals) - self._totals[-1]
            counts = np.maximum(np.floor(owed), 0).astype(np.int64)
            missing = self.epoch_length - int(counts.sum())
            most_owed = np.argsort(counts - owed, kind="stable")
            if missing < 0:  # a data set is ahead of its share and cannot give draws back, so others draw one less
                most_owed = most_owed[::-1][counts[most_owed[::-1]] > 0]
            counts[most_owed[: abs(missing)]] += np.sign(missing)
            self._totals.append(self._totals[-1] + counts)
        return self._totals[epochs]

    def _rows(self, dataset: int, size: int, begin: int, end: int) -> NDArray[np.int64]:
        """Rows of the draws ``begin`` to ``end - 1`` of a data set; a lap is once through all of it."""
        laps = [np.empty(0, np.int64)]
        for lap in range(begin // size, -(-end // size)):
            order = np.random.default_rng([self.seed, dataset, lap, 1]).permutation(size)
            laps.append(order[max(begin - lap * size, 0) : end - lap * size])
        rows = np.concatenate(laps)
        allowed = self.rows[dataset] if self.rows is not None else None
        return rows if allowed is None else allowed[rows]
