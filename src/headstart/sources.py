"""Which data sets a recipe draws from, the split of each that training uses, and the protocol that scores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from headstart import datasets
from headstart.errors import ConfigError
from headstart.experiment import Validation
from headstart.loader import Data

#: Data set -> the split that training uses, where it is not "train".
TRAIN_SPLIT = {"coco": "train2017", "coco_feet": "train2017"}
#: Data set -> the protocol that scores it; users' adapters define theirs (:func:`headstart.datasets.validation`).
PROTOCOL_OF = {
    "mpii": "mpii_pckh",
    "lsp": "lsp_pck",
    "lsp_extended": "lsp_extended_pck12",
    "flic": "flic_pck",
    "coco": "coco_pck",
    "coco_feet": "coco_feet_pck",
    "yolo_pose": "yolo_pose_pck",
    "h36m": "h36m_standard",
    "mpi_inf_3dhp": "mpi_inf_3dhp",
    "threedpw": "threedpw",
    "occlusion_person": "occlusion_person",
    "aspset": "aspset",
    "synthetic_wild": "synthetic_wild_pck",
    "synthetic_studio": "synthetic_studio",
    "synthetic_occluded": "synthetic_occluded",
}
#: The same for a data set whose 3D labels are trained on, where that is another protocol.
PROTOCOL_3D_OF = {"synthetic_wild": "synthetic_wild"}


@dataclass(frozen=True)
class Sources:
    """Which data sets a recipe draws from, and where they lie."""

    two_d: tuple[str, ...] = ("mpii",)
    """Data sets with 2D labels."""
    three_d: tuple[str, ...] = ("h36m",)
    """Data sets with 3D labels."""
    roots: Mapping[str, str] = field(default_factory=dict)
    """Data set -> folder; ``data/NAME`` where not given."""
    unscored: tuple[str, ...] = ()
    """Data sets that have no split to score: they are trained on alone."""

    def __post_init__(self) -> None:
        """Raises :class:`ConfigError` for ``unscored`` data sets that are not drawn from, and for unknown ``roots``."""
        if others := [name for name in self.unscored if name not in (*self.two_d, *self.three_d)]:
            named = ", ".join((*self.two_d, *self.three_d))
            raise ConfigError(f"--unscored {' '.join(others)}: expected data sets that are trained on: {named}")
        if others := [name for name in self.roots if not datasets.is_known(name)]:
            known = ", ".join(datasets.DATASETS)
            raise ConfigError(
                f"--root {others[0]}=DIR: expected a data set ({known}) or a module such as my_data.office"
            )

    def data(self, names: tuple[str, ...], share: float = 1.0, use_3d: bool = True) -> tuple[Data, ...]:
        """Training splits of the data sets, ``share`` of the draws divided among them equally."""
        weight = share / max(len(names), 1)
        return tuple(Data(name, self.root(name), train_split(name), weight, use_3d) for name in names)

    def root(self, name: str) -> str:
        """Folder of a data set; raises :class:`ConfigError` for one that is not known."""
        datasets.adapter(name)
        return self.roots.get(name, f"data/{name}")

    def validation_2d(self) -> tuple[Validation, ...]:
        """The usual protocol of each data set with 2D labels, 1,000 people while training."""
        return tuple(self._validation(name, PROTOCOL_OF, "VALIDATION_2D") for name in self._scored(self.two_d))

    def validation_3d(self) -> tuple[Validation, ...]:
        """The same of those with 3D labels."""
        protocols = PROTOCOL_OF | PROTOCOL_3D_OF
        return tuple(self._validation(name, protocols, "VALIDATION_3D") for name in self._scored(self.three_d))

    def _scored(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if name not in self.unscored]

    def _validation(
        self, name: str, protocols: Mapping[str, str], kind: Literal["VALIDATION_2D", "VALIDATION_3D"]
    ) -> Validation:
        root = self.root(name)
        if name in protocols:
            return Validation(protocols[name], root, limit=1000)
        if (found := datasets.validation(name, kind)) is None:
            raise ConfigError(
                f"data set {name!r} has no protocol: set {kind} = (protocol, split) in its adapter"
                f" (docs/data-sets.md), or train with --unscored {name}"
            )
        protocol, split = found
        return Validation(protocol, root, name, split, limit=1000)


def train_split(name: str) -> str:
    """The split that recipes train on."""
    return TRAIN_SPLIT.get(name, "train")
