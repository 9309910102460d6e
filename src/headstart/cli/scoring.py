"""``headstart score``."""

from __future__ import annotations

import tyro

from headstart.cli.placeholders import (
    AsJson,
    File,
    Folder,
    OptionalCount,
    OptionalDataSet,
    OptionalSplit,
    Protocol,
)
from headstart.cli.training import print_score


def score(
    predictions: tyro.conf.Positional[File],
    protocol: Protocol,
    root: Folder,
    dataset: OptionalDataSet = None,
    split: OptionalSplit = None,
    limit: OptionalCount = None,
    json_output: AsJson = False,
) -> None:
    """Score predictions of any system under a protocol; `headstart show protocols` lists them.

    The file (.npz, numpy.savez) has keys (N,) of people, joints (J,) by canonical names, and keypoints (N, J, 2) in px
    of the data set's images for 2D protocols, xyz_mm (N, J, 3) in camera axes (x right, y down, z away) for 3D ones:
    docs/scoring.md. Or it is what `headstart eval --predictions` wrote.

    Args:
        predictions: file (.npz) with a prediction for everybody whom the protocol scores.
        protocol: name of the protocol; my_data.office:NAME for one of yours.
        root: folder of the data set, or a packed one: the one whose images were predicted.
        dataset: data set, where it is not the protocol's own.
        split: split, where it is not the protocol's own.
        limit: score only so many people, evenly spread, as `headstart eval --limit` does (a quick look, not a result).
        json_output: print JSON.
    """
    from headstart.scoring import score_predictions

    found = score_predictions(predictions, protocol, root, dataset=dataset, split=split, limit=limit)
    print_score(found, json_output)
