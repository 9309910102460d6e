"""Which data sets a recipe draws from, the split of each that training uses, and the protocol that scores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headstart import datasets
from headstart.errors import ConfigError
from headstart.experiment import Validation
from headstart.loader import Data

# The split of each data set that training uses, and the protocol that scores it.
_TRAIN_SPLIT = {"coco": "train2017", "h36m": "train"}
_PROTOCOL = {
    "mpii": "mpii_pckh",
    "lsp": "lsp_pck",
    "lsp_extended": "lsp_extended_pck12",
    "flic": "flic_pck",
    "coco": "coco_pck",
    "h36m": "h36m_standard",
    "mpi_inf_3dhp": "mpi_inf_3dhp",
    "threedpw": "threedpw",
    "occlusion_person": "occlusion_person",
    "aspset": "aspset",
    "synthetic_wild": "synthetic_wild_pck",
    "synthetic_studio": "synthetic_studio",
    "synthetic_occluded": "synthetic_occluded",
}
# Where 3D labels are learnt, those are what is scored.
_PROTOCOL_3D = {"synthetic_wild": "synthetic_wild"}


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
        """Raises :class:`ConfigError` for an ``unscored`` data set that is not one of those drawn from."""
        if others := [name for name in self.unscored if name not in (*self.two_d, *self.three_d)]:
            named = ", ".join((*self.two_d, *self.three_d))
            raise ConfigError(f"--unscored {' '.join(others)}: expected data sets that are trained on: {named}")

    def data(self, names: tuple[str, ...], share: float = 1.0, use_3d: bool = True) -> tuple[Data, ...]:
        """Training splits of the data sets, ``share`` of the draws divided among them equally."""
        weight = share / max(len(names), 1)
        return tuple(Data(name, self.root(name), train_split(name), weight, use_3d) for name in names)

    def root(self, name: str) -> str:
        """Folder of a data set; raises :class:`ConfigError` for one that is not known."""
        if name not in datasets.DATASETS:
            raise ConfigError(f"unknown data set {name!r}; known: {', '.join(datasets.DATASETS)}")
        return self.roots.get(name, f"data/{name}")

    def validation_2d(self) -> tuple[Validation, ...]:
        """The usual protocol of each data set with 2D labels, 1,000 people while training."""
        return tuple(self._checked(name, protocol_of(name)) for name in self._scored(self.two_d))

    def validation_3d(self) -> tuple[Validation, ...]:
        """The same of those with 3D labels."""
        scored = self._scored(self.three_d)
        return tuple(self._checked(name, _PROTOCOL_3D.get(name, protocol_of(name))) for name in scored)

    def _scored(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if name not in self.unscored]

    def _checked(self, name: str, protocol: str) -> Validation:
        return Validation(protocol, self.root(name), limit=1000)


def protocol_of(name: str) -> str:
    """The usual protocol of a data set; raises :class:`ConfigError` for one that has none yet."""
    if name not in _PROTOCOL:
        known = ", ".join(_PROTOCOL)
        raise ConfigError(f"data set {name!r} has no protocol in sources._PROTOCOL; those that have: {known}")
    return _PROTOCOL[name]


def train_split(name: str) -> str:
    """The split that recipes train on."""
    return _TRAIN_SPLIT.get(name, "train")
