"""Scoring that is tried before a run, so that nothing is missing after hours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.errors import ConfigError, DataError
from headstart.experiment import Validation
from headstart.skeleton import BODY_18, MPII_16
from headstart.validation import rehearse
from tiny import experiment, mpjpe_of, pck_of, stage_2d


def test_what_can_be_scored_passes(stick_people_2d: Path, stick_people_3d: Path) -> None:
    checks = (mpjpe_of(stick_people_3d), pck_of(stick_people_2d), Validation("h36m_zhou2017", str(stick_people_3d)))
    rehearse(experiment(stage_2d(stick_people_2d), validation=checks), BODY_18)
    rehearse(experiment(stage_2d(stick_people_2d), validation=(replace(checks[1], limit=3), checks[2])), MPII_16)
    rehearse(experiment(stage_2d(stick_people_2d)), BODY_18)


def test_what_is_missing_is_named(stick_people_2d: Path, stick_people_3d: Path, tmp_path: Path) -> None:
    def tried(check: Validation) -> None:
        rehearse(experiment(stage_2d(stick_people_2d), validation=(check,)), MPII_16)

    with pytest.raises(ConfigError, match=r"nowhere/joints\.mat: .* it is trained on with --unscored lsp_extended$"):
        tried(pck_of(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="does not predict spine, nose"):
        tried(mpjpe_of(stick_people_3d))
    # Heads' sizes, which only MPII's own labels have.
    with pytest.raises(DataError, match="labels that protocol mpii_pckh scores, found none"):
        tried(Validation("mpii_pckh", str(stick_people_2d), dataset="lsp_extended", split="all"))
