"""Placeholders for values in the help of the verbs: DATASET and DIR instead of STR and PATH.

Optional ones show no default: the text beside them says what happens without a value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

DataSet = Annotated[str, arg(metavar="DATASET")]
DataSets = Annotated[tuple[str, ...], arg(metavar="DATASET ...")]
Protocol = Annotated[str, arg(metavar="PROTOCOL")]
Split = Annotated[str, arg(metavar="SPLIT")]
Folder = Annotated[Path, arg(metavar="DIR")]
File = Annotated[Path, arg(metavar="FILE")]
Detector = Annotated[str, arg(metavar="DETECTOR")]
Pixels = Annotated[int, arg(metavar="PX")]
Millimetres = Annotated[float, arg(metavar="MM")]
Scales = Annotated[tuple[float, ...], arg(metavar="SCALE ...")]

OptionalDataSet = Annotated[str | None, arg(metavar="DATASET", help_behavior_hint="")]
OptionalSplit = Annotated[str | None, arg(metavar="SPLIT", help_behavior_hint="")]
OptionalFolder = Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="")]
OptionalFile = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
OptionalModel = Annotated[str | None, arg(metavar="MODEL", help_behavior_hint="")]
OptionalDevice = Annotated[str | None, arg(metavar="DEVICE", help_behavior_hint="")]
OptionalCount = Annotated[int | None, arg(metavar="INT", help_behavior_hint="")]

#: A switch; the ``--json`` of ``predict`` is a file instead.
AsJson = Annotated[bool, arg(name="json")]
