"""The HTML page of a report: what it adds to the figures, and colours that can be read."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from headstart.report.rendering import _inlined

STYLE = (resources.files("headstart.report") / "page" / "style.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block)) for block in STYLE.split(":root {")[1:3])


def contrast(one: str, other: str) -> float:
    """Ratio of WCAG 2 between two colours, #rrggbb."""

    def luminance(colour: str) -> float:
        shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    """Its own examples: black on white 21, #777777 on white 4.48."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#777777") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_every_colour_of_text_can_be_read(theme: dict[str, str]) -> None:
    """The names of lines in figures have the colours of the series. Known defect: one of them had 4.2."""
    texts = ["ink", "muted", "link", "good", "bad", *(f"series-{role}" for role in range(8))]
    assert {name: ratio for name in texts if (ratio := contrast(theme[name], theme["paper"])) < 4.5} == {}


def test_a_figure_is_named_by_its_section_and_its_title() -> None:
    """Known defect: the figures of all sections had the same name for screen readers, that of the data."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="studio &lt; wild"><g id="a"/></svg>'
    assert str(_inlined(svg, "curve-1", "Error & compute")) == (
        '<svg role="img" aria-label="Error &amp; compute: studio &lt; wild"><g id="curve-1-a"/></svg>'
    )
