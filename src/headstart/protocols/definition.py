"""Protocols and their descriptions, which are built from the same fields that ``evaluate`` reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from headstart.errors import ConfigError
from headstart.metrics import AUC_THRESHOLDS_MM, PCK3D_THRESHOLD_MM, ZHOU2017_BONE_SUM_MM, Average
from headstart.results import Better
from headstart.skeleton import WITH_FEET

Metric = Literal["pck", "pckh", "mpjpe", "n_mpjpe", "pa_mpjpe", "pck3d", "auc", "zhou2017_mpjpe"]
Reference = Literal["torso", "head_size"]
GroupBy = Literal["action", "subject", "sequence", "scene"]


@dataclass(frozen=True)
class MetricFacts:
    """What a metric is called, measures and prefers."""

    title: str
    unit: Literal["mm", "%"]
    better: Better
    alignment: str
    """How prediction and truth are brought together first."""
    scale: str
    """How a prediction in the crop gets its size in mm."""


_ROOT_ONLY = "only the roots are moved together"
_PIXELS = "none needed, coordinates are compared in image pixels"
#: What ``scale_rules.lift_with_labels`` does.
_ROOT_DEPTH = (
    "joints are back-projected with the data set's camera at the true depth of the pelvis plus the predicted relative "
    "depth (Sun et al. 2018)"
)
METRICS: dict[Metric, MetricFacts] = {
    "pck": MetricFacts("PCK", "%", "higher", "no alignment", _PIXELS),
    "pckh": MetricFacts("PCKh", "%", "higher", "no alignment", _PIXELS),
    "mpjpe": MetricFacts("MPJPE", "mm", "lower", _ROOT_ONLY, _ROOT_DEPTH),
    "n_mpjpe": MetricFacts(
        "N-MPJPE", "mm", "lower", "roots moved together, then each prediction's best scale", _ROOT_DEPTH
    ),
    "pa_mpjpe": MetricFacts(
        "PA-MPJPE", "mm", "lower", "each prediction's best rotation, translation and scale, no reflection", _ROOT_DEPTH
    ),
    "pck3d": MetricFacts("3DPCK", "%", "higher", _ROOT_ONLY, _ROOT_DEPTH),
    "auc": MetricFacts("AUC of 3DPCK", "%", "higher", _ROOT_ONLY, _ROOT_DEPTH),
    "zhou2017_mpjpe": MetricFacts(
        "MPJPE after the Zhou-2017 rescale",
        "mm",
        "lower",
        f"{_ROOT_ONLY}, after joints were mapped from MPII-16 and spine and nose set to midpoints",
        f"the predicted skeleton, in crop units, is multiplied so that its bones sum to {ZHOU2017_BONE_SUM_MM:g} mm",
    ),
}

_AVERAGES: dict[Average, str] = {
    "joints": "sum over count of all labelled joints, so each joint weighs by how often it is labelled",
    "frames": "mean over the joints of each person, then over people",
    "groups": "mean over the joints of each person, over the people of each {group}, then over the {group}s",
}


@dataclass(frozen=True)
class Protocol:
    """How a score is computed. Joints are names of :data:`~headstart.skeleton.WITH_FEET`."""

    name: str
    dataset: str
    split: str
    metric: Metric
    joints: tuple[str, ...]
    """Joints that are scored; the root need not be one of them."""
    average: Average = "frames"
    root: Literal["pelvis"] | None = None
    reference: Reference | None = None
    """Length in the picture that PCK's threshold is a fraction of."""
    threshold: float | None = None
    """Fraction of ``reference`` for pck and pckh, mm for pck3d."""
    also_at: tuple[float, ...] = ()
    """Other thresholds at which the value of pck and pckh is printed beside it."""
    subset: str = ""
    """What the split holds, in words."""
    frame_stride: int = 1
    """1, or n: only frames whose number (``Annotation.frame``) n divides are scored; those without one (-1) all are."""
    group_by: tuple[GroupBy, ...] = ()
    """Groups to report apart; ``average="groups"`` takes the mean over the first."""
    companions: tuple[Metric, ...] = ()
    """Metrics of the same predictions to print beside the value."""
    by_visibility: bool = False
    """Whether visible and occluded joints are also reported apart."""
    flip_test: bool = True
    """Whether the prediction is the average with that of the mirrored picture."""
    decode: Literal["subpixel", "argmax"] = "subpixel"
    """How joints are read from heatmaps; ``argmax`` is the integer cell."""
    scenes: tuple[tuple[str, str], ...] = ()
    """(recording, scene) pairs for ``group_by`` scene."""

    def __post_init__(self) -> None:
        for field, problem in self._problems():
            raise ConfigError(f"protocol {self.name}: {field} {problem}")

    @property
    def better(self) -> Better:
        """Which direction of the value is better."""
        return METRICS[self.metric].better

    @property
    def unit(self) -> Literal["mm", "%"]:
        """Unit of the value."""
        return METRICS[self.metric].unit

    @property
    def is_3d(self) -> bool:
        """Whether it scores 3D joints."""
        return self.reference is None

    def at_other_thresholds(self) -> dict[str, Protocol]:
        """The same protocol at each threshold of ``also_at``, by the name that its value has beside the other one's."""
        return {f"{self.metric}@{one:g}_percent": replace(self, threshold=one, also_at=()) for one in self.also_at}

    def scene(self, recording: str) -> str:
        """Scene that a recording was made in; its own name where the protocol lists none."""
        return dict(self.scenes).get(recording, recording)

    def describe(self, prediction: str = "", scale: str = "") -> str:
        """Everything that a reader needs beside the number, in full sentences.

        ``prediction``, ``scale``: how poses were read and got their size where that is not as the protocol has it.
        """
        facts = METRICS[self.metric]
        own = f"{_DECODES[self.decode]}{', averaged with the mirrored picture' if self.flip_test else ''}"
        sentences = [
            self._data(),
            f"{len(self.joints)} joints: {', '.join(self.joints)}.",
            f"Root: {self.root}; alignment: {facts.alignment}." if self.root else "",
            f"Scale: {scale or facts.scale}.",
            f"Prediction: {prediction or own}.",
            f"Metric: {self._metric()} in {facts.unit}, {facts.better} is better.",
            f"Average: {_AVERAGES[self.average].format(group=self.group_by[0] if self.group_by else '')}.",
            self._apart(),
            self._beside(),
        ]
        return " ".join(sentence for sentence in sentences if sentence)

    def _data(self) -> str:
        stride = f"every {_ordinal(self.frame_stride)} frame" if self.frame_stride > 1 else ""
        details = ", ".join(part for part in (self.subset, stride) if part)
        return f"Data set {self.dataset}, split {self.split}{f' ({details})' if details else ''}."

    def _metric(self) -> str:
        title = METRICS[self.metric].title
        if self.metric in ("pck", "pckh"):
            return f"{title}@{self.threshold:g} of {_REFERENCES[self.reference or 'torso']}"
        if self.metric == "pck3d":
            return f"{title}@{self.threshold:g}mm (error < {self.threshold:g} mm)"
        return f"{title}{_auc_thresholds(self.metric)}"

    def _apart(self) -> str:
        parts = [f"per {group}" for group in self.group_by]
        parts += ["for visible and occluded joints"] if self.by_visibility else []
        return f"Also apart {' and '.join(parts)}." if parts else ""

    def _beside(self) -> str:
        titles = [f"{METRICS[self.metric].title}@{threshold:g}" for threshold in self.also_at]
        titles += [f"{companion_title(metric)} ({METRICS[metric].better} is better)" for metric in self.companions]
        scales = {METRICS[metric].scale for metric in self.companions[:1]} - {METRICS[self.metric].scale}
        return " ".join(
            (f"Beside it: {', '.join(titles)}.", *(f"Scale of these: {scale}." for scale in scales)) if titles else ()
        )

    def _problems(self) -> Iterator[tuple[str, str]]:
        """(field, what is wrong with it) pairs. The form comes first: other checks rely on it."""
        yield from self._malformed()
        unknown = [joint for joint in self.joints if joint not in WITH_FEET.names]
        in_pixels = self.metric in ("pck", "pckh")
        checks = (
            ("joints", "must name at least one joint", not self.joints),
            ("joints", f"has {', '.join(unknown)}, which the canonical skeleton lacks", bool(unknown)),
            ("joints", "names a joint twice", len(set(self.joints)) < len(self.joints)),
            ("reference", "must be set for pck and pckh and for no other metric", in_pixels != (not self.is_3d)),
            ("root", "must be set for 3D metrics and for no other", in_pixels != (self.root is None)),
            (
                "threshold",
                "must be set for pck, pckh and pck3d and for no other metric",
                (self.threshold is not None) != (in_pixels or self.metric == "pck3d"),
            ),
            ("also_at", "can be set for pck and pckh alone", bool(self.also_at) and not in_pixels),
            ("group_by", "must name a group for average='groups'", self.average == "groups" and not self.group_by),
        )
        yield from ((field, problem) for field, problem, wrong in checks if wrong)

    def _malformed(self) -> Iterator[tuple[str, str]]:
        """As :func:`_problems`, for values of the wrong type and those that a field does not offer."""
        for field in ("name", "dataset", "split"):
            if not isinstance(value := getattr(self, field), str) or not value:
                yield field, f"must be a name, not {value!r}"
        for field, choices in _CHOICES.items():
            if (value := getattr(self, field)) not in choices:
                yield field, f"must be one of {', '.join(map(str, choices))}, not {value!r}"
        for field, known in (("group_by", get_args(GroupBy)), ("companions", _COMPANIONS)):
            if not _are_of(known, value := getattr(self, field)):
                yield field, f"must be a tuple of {', '.join(known)}; got {value!r}"
        for field in ("joints", "also_at"):
            if not isinstance(value := getattr(self, field), tuple):
                yield field, f"must be a tuple, not {value!r}: a comma behind one value makes it one"
        if not isinstance(self.frame_stride, int) or self.frame_stride < 1:
            yield "frame_stride", f"must be at least 1, not {self.frame_stride!r}"
        thresholds = (*((self.threshold,) if self.threshold is not None else ()), *self.also_at)
        for threshold in thresholds:
            if not isinstance(threshold, (int, float)) or not threshold > 0:
                yield "threshold" if threshold is self.threshold else "also_at", f"must be above 0, not {threshold!r}"


def _are_of(known: tuple[str, ...], given: object) -> bool:
    """Whether it is a tuple of nothing else; a string in its place would be read letter by letter."""
    return isinstance(given, tuple) and set(given) <= set(known)


#: Metrics that can be had beside another, from the same poses in mm.
_COMPANIONS: tuple[Metric, ...] = ("mpjpe", "n_mpjpe", "pa_mpjpe", "pck3d", "auc")
#: Those beside the MPJPE of most protocols in 3D.
COMPANIONS_3D: tuple[Metric, ...] = ("n_mpjpe", "pa_mpjpe", "pck3d", "auc")
#: The values that a field offers, None included.
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "metric": tuple(METRICS),
    "average": get_args(Average),
    "root": ("pelvis", None),
    "reference": (*get_args(Reference), None),
    "decode": ("subpixel", "argmax"),
}
_DECODES = {"subpixel": "sub-pixel positions", "argmax": "the integer cell of each heatmap's maximum"}
_REFERENCES: dict[Reference, str] = {
    "torso": "the torso |left shoulder - right hip|",
    "head_size": "the head size (0.6 x diagonal of the head box)",
}


def companion_title(metric: Metric) -> str:
    """Name of a metric reported beside another, with the thresholds it uses there."""
    if metric == "pck3d":
        return f"{METRICS[metric].title}@{PCK3D_THRESHOLD_MM:g}mm"
    return f"{METRICS[metric].title}{_auc_thresholds(metric)}"


def _auc_thresholds(metric: Metric) -> str:
    first, second, last = AUC_THRESHOLDS_MM[0], AUC_THRESHOLDS_MM[1], AUC_THRESHOLDS_MM[-1]
    return f" (thresholds {first:g}:{second - first:g}:{last:g} mm)" if metric == "auc" else ""


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
