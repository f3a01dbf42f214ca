"""The pictures of figures: bars of medians, lines of what was noted as time went on."""

from __future__ import annotations

from xml.etree import ElementTree

from bench.charts import chart
from bench.figures import Figure

_SVG = "{http://www.w3.org/2000/svg}"


def _numbers(element: ElementTree.Element, *names: str) -> tuple[float, ...]:
    return tuple(float(element.attrib[name]) for name in names)


def test_a_picture_has_a_bar_for_each_median() -> None:
    figures = [
        Figure("a & b", "ms", [1], template=[100]),
        Figure("shrank", "s", [0, -1, -2]),
        Figure("all", "%", [100, 100]),
    ]
    picture = ElementTree.fromstring(chart("Some.", figures))
    texts = {element.text for element in picture.iter(f"{_SVG}text")}
    assert {"a & b", "shrank", "1", "100", "-1", "the template's way"} <= texts
    bars = [bar for bar in picture.iter(f"{_SVG}rect") if bar.attrib["height"] == "9"]
    assert [(bar.attrib["class"], int(bar.attrib["width"])) for bar in bars] == [
        ("app", 400),
        ("app", 133),
        ("template", 400),
        ("app", 2),
    ]


def test_what_was_noted_as_time_went_on_is_a_line_on_one_scale_for_each_unit() -> None:
    figures = [
        Figure("low", "ms", [1, 3, 2], minutes=[1, 2, 3]),
        Figure("all", "%", [100]),
        Figure("high", "ms", [6, 0], minutes=[2, 3]),
        Figure("nothing", "s", [0], minutes=[1]),
    ]
    picture = ElementTree.fromstring(chart("Some.", figures))
    lines = [line.attrib["points"].split() for line in picture.iter(f"{_SVG}polyline")]
    floors = [_numbers(line, "x1", "y1") for line in picture.iter(f"{_SVG}line")][: len(lines)]
    courses = [
        [(float(x) - left, bottom - float(y)) for x, y in (point.split(",") for point in line)]
        for line, (left, bottom) in zip(lines, floors, strict=True)
    ]
    assert courses == [[(0, 8), (200, 24), (400, 16)], [(200, 48), (400, 0)], [(0, 0)]]
    texts = {element.text for element in picture.iter(f"{_SVG}text")}
    assert {"low", "3", "high", "6", "nothing", "0", "all", "100"} <= texts
    assert "the template's way" not in texts
