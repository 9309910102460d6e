"""Which person comes when: shares, laps, resumption and processes, for any mixture."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.errors import ConfigError
from headstart.sampling import Draw, MixtureSampler, evenly_spread

mixtures = st.lists(
    st.tuples(st.integers(1, 30), st.sampled_from([0.01, 0.1, 0.25, 1 / 3, 1.0, 2.0, 7.5])), min_size=1, max_size=6
)
batch_sizes = st.integers(1, 17)
seeds = st.integers(0, 2**31)
quick = settings(max_examples=40)
FIRST_EPOCH = [[0, 9], [1, 0], [1, 2], [1, 3], [1, 0], [1, 1], [0, 7]]
SECOND_EPOCH = [[1, 2], [0, 8], [0, 8], [1, 2], [1, 1], [1, 3], [0, 7]]


def draws_of(sampler: MixtureSampler, batches: int) -> list[list[Draw]]:
    return list(islice(sampler, batches))


@pytest.mark.parametrize(
    ("length", "count", "positions"),
    [(10, 4, [0, 3, 6, 9]), (3, 3, [0, 1, 2]), (3, 9, [0, 1, 2]), (1, 5, [0]), (5, 1, [0]), (0, 5, [])],
)
def test_evenly_spread_from_first_to_last(length: int, count: int, positions: list[int]) -> None:
    assert evenly_spread(length, count).tolist() == positions


class TestMixtureSampler:
    @quick
    @given(mixtures, seeds)
    def test_shares_are_exact_over_epochs(self, mixture: list[tuple[int, float]], seed: int):
        sizes, weights = zip(*mixture)
        sampler = MixtureSampler(sizes, weights, 4, seed)
        counts = np.zeros(len(sizes))
        for epoch in range(5):
            drawn = sampler.epoch(epoch)
            assert len(drawn) == sum(sizes)
            counts += np.bincount([dataset for dataset, _ in drawn], minlength=len(sizes))
            wanted = np.array(weights) / sum(weights) * sum(sizes) * (epoch + 1)
            assert np.abs(counts - wanted).max() <= 1 + 1e-6

    @quick
    @given(mixtures, seeds)
    def test_everybody_comes_up_once_before_anybody_twice(self, mixture: list[tuple[int, float]], seed: int):
        sizes, weights = zip(*mixture)
        sampler = MixtureSampler(sizes, weights, 4, seed)
        counts = [np.zeros(size, int) for size in sizes]
        for epoch in range(5):
            for dataset, row in sampler.epoch(epoch):
                counts[dataset][row] += 1
            assert all(np.ptp(count) <= 1 for count in counts)

    @quick
    @given(mixtures, batch_sizes, seeds, st.integers(0, 40))
    def test_a_resumed_stream_is_the_same(
        self, mixture: list[tuple[int, float]], batch_size: int, seed: int, step: int
    ):
        sizes, weights = zip(*mixture)
        whole = draws_of(MixtureSampler(sizes, weights, batch_size, seed), step + 3)
        resumed = MixtureSampler(sizes, weights, batch_size, seed, start_step=step)
        assert draws_of(resumed, 3) == whole[step:]
        assert resumed.batch(step + 1) == whole[step + 1]

    def test_a_batch_over_the_end_of_an_epoch(self):
        sampler = MixtureSampler([5], [1.0], 3, 0)
        draws = [draw for batch in draws_of(sampler, 4) for draw in batch]
        assert [(draw.epoch, draw.position) for draw in draws] == [(i // 5, i % 5) for i in range(12)]
        assert sorted(draw.row for draw in draws[:5]) == sorted(draw.row for draw in draws[5:10]) == list(range(5))

    @quick
    @given(mixtures, st.integers(1, 5), st.integers(1, 4), seeds)
    def test_parts_of_the_processes_are_the_batch(
        self, mixture: list[tuple[int, float]], part: int, processes: int, seed: int
    ):
        sizes, weights = zip(*mixture)
        size = part * processes
        whole = draws_of(MixtureSampler(sizes, weights, size, seed), 4)
        ranks = [MixtureSampler(sizes, weights, size, seed, rank=r, processes=processes) for r in range(processes)]
        parts = [draws_of(rank, 4) for rank in ranks]
        assert [[draw for part in parts for draw in part[step]] for step in range(4)] == whole

    def test_a_data_set_of_less_than_one_draw_an_epoch_still_comes_up(self):
        """Rounding each epoch's running totals alone lets them fall: such a data set was then never caught up."""
        sampler = MixtureSampler([1, 1, 2, 4], [0.1, 0.1, 0.1, 7.5], 4, 0)
        counts = np.zeros(4, int)
        for epoch in range(39):
            counts += np.bincount([dataset for dataset, _ in sampler.epoch(epoch)], minlength=4)
        assert counts.tolist() == [4, 4, 4, 300]

    def test_epochs_and_seeds_come_in_different_orders(self):
        orders = {MixtureSampler([30], [1.0], 4, seed).epoch(epoch).tobytes() for seed in (0, 1) for epoch in (0, 1, 2)}
        assert len(orders) == 6

    def test_data_sets_of_one_size_are_not_walked_through_alike(self):
        draws = MixtureSampler([20, 20, 20], [1.0, 1.0, 4.0], 4, 0).epoch(0)
        first, second = ({row for dataset, row in draws if dataset == wanted} for wanted in (0, 1))
        assert len(first) == len(second) == 10
        assert first != second

    def test_the_draws_of_committed_runs_do_not_change(self):
        """Written down before draws became arrays: a run of then goes on with the same people."""
        sampler = MixtureSampler([3, 4], [1.0, 2.0], 4, 5, rows=[np.array([7, 8, 9]), None])
        assert sampler.epoch(0).tolist() == FIRST_EPOCH
        assert sampler.epoch(1).tolist() == SECOND_EPOCH

    def test_data_sets_are_mixed_within_an_epoch(self):
        draws = MixtureSampler([50, 50], [1.0, 1.0], 4, 0).epoch(0)
        assert 15 < sum(dataset == 0 for dataset, _ in draws[:50]) < 35

    def test_weight_zero_is_never_drawn(self):
        assert {dataset for dataset, _ in MixtureSampler([5, 9], [0.0, 1.0], 4, 0).epoch(0)} == {1}

    def test_rows_restrict_a_data_set(self):
        rows = [np.array([3, 40, 77]), None]
        draws = MixtureSampler([3, 2], [1.0, 1.0], 4, 0, rows=rows)
        seen = {(draw.dataset, draw.row) for batch in draws_of(draws, 20) for draw in batch}
        assert seen == {(0, 3), (0, 40), (0, 77), (1, 0), (1, 1)}
        assert {draw.row for draw in draws.batch(0) if draw.dataset == 0} <= {3, 40, 77}

    @pytest.mark.parametrize(
        ("sizes", "weights", "processes"),
        [([], [], 1), ([0], [1.0], 1), ([3, 3], [1.0, -1.0], 1), ([3], [0.0], 1), ([3], [1.0], 3)],
    )
    def test_mixtures_that_cannot_be_drawn_from(self, sizes: list[int], weights: list[float], processes: int):
        with pytest.raises(ConfigError):
            MixtureSampler(sizes, weights, 4, 0, processes=processes)


class TestDraws:
    def test_the_seed_decides_how_data_sets_are_mixed(self):
        mixed = {
            tuple(dataset for dataset, _ in MixtureSampler([30, 30], [1.0, 1.0], 4, seed).epoch(0)) for seed in range(4)
        }
        assert len(mixed) == 4

    def test_the_seed_and_the_lap_decide_who_comes_in_the_first_half_of_a_walk(self):
        """Of 40 people 20 come up in an epoch: a lap lasts two, and the next one begins with others."""
        halves = {}
        for seed in (0, 1):
            sampler = MixtureSampler([40, 40], [1.0, 3.0], 4, seed)
            for epoch in (0, 1, 2):
                halves[seed, epoch] = frozenset(row for dataset, row in sampler.epoch(epoch) if dataset == 0)
        assert all(len(half) == 20 for half in halves.values())
        assert halves[0, 0] | halves[0, 1] == frozenset(range(40))
        assert len({halves[0, 0], halves[0, 2], halves[1, 0], halves[1, 2]}) == 4


def test_a_weight_below_zero_is_refused_also_where_the_sum_is_above_it() -> None:
    with pytest.raises(ConfigError, match="weights >= 0"):
        MixtureSampler([3, 3], [3.0, -1.0], 4, 0)
