"""How large people are in their pictures."""

import numpy as np
import pytest

from headstart.synth.framing import draw_framing


@pytest.mark.parametrize("truncated", [0.05, 0.3])
def test_people_are_cut_off_as_often_as_asked_for(truncated):
    rng = np.random.default_rng(0)
    fills = np.array([draw_framing(rng, truncated)[0] for _ in range(600)])
    assert 0.5 <= fills.min() < fills.max() <= 1.5
    assert (fills > 0.9).mean() == pytest.approx(truncated, abs=0.05)
