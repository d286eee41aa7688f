"""Charts: parts as high as their counts, nothing outside the drawing, names that are only words."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from services.api.pages.columns import Column, Part, lying, standing

PARTS = st.builds(Part, st.sampled_from(["met", "broken"]), st.integers(0, 10_000))
COLUMNS = st.lists(st.builds(Column, st.text(max_size=40), st.tuples(PARTS, PARTS), st.text(max_size=5)), max_size=8)
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def drawn(svg: Markup) -> ElementTree.Element:
    # XML, unlike HTML, has no control characters at all.
    return ElementTree.fromstring(CONTROLS.sub("", svg))  # noqa: S314 - our own text


def boxes(svg: Markup) -> list[tuple[float, float, float, float]]:
    return [
        (float(box.attrib["x"]), float(box.attrib["y"]), float(box.attrib["width"]), float(box.attrib["height"]))
        for box in drawn(svg).iter("rect")
    ]


@settings(max_examples=60, deadline=None)
@given(COLUMNS)
def test_every_part_lies_inside_and_is_as_large_as_its_count(columns: list[Column]) -> None:
    top = max((column.total for column in columns), default=0)
    counts = [part.number for column in columns for part in column.parts]
    for draw, side in ((standing, 3), (lying, 2)):
        svg = draw(columns, "counts")
        _, _, width, height = (float(number) for number in drawn(svg).attrib["viewBox"].split())
        found = boxes(svg)
        assert all(x >= 0 and y >= 0 and x + w <= width + 0.2 and y + h <= height + 0.2 for x, y, w, h in found)
        full = {3: 176.0, 2: 324.0}[side]
        sizes = [size for size in (round(full * number / top, 1) for number in counts) if size] if top else []
        assert [box[side] for box in found] == sizes


@pytest.mark.parametrize("draw", [standing, lying])
def test_names_are_only_words(draw: object) -> None:
    assert callable(draw)
    svg = draw([Column("<script>alert(1)</script>", (Part("met", 3),), "<b>")], '"><img src=x>')
    assert "<script" not in svg
    assert "<b>" not in svg
    assert "<img" not in svg
    (title,) = drawn(svg).iter("title")
    assert title.text == "<script>alert(1)</script>: 3 met"


def test_nothing_is_drawn_of_nothing() -> None:
    assert boxes(standing([], "none")) == []
    assert boxes(lying([Column("a", (Part("met", 0),))], "none")) == []


def test_of_many_columns_some_are_named_and_all_are_drawn() -> None:
    svg = standing([Column(f"week {number}", (Part("met", 1),)) for number in range(54)], "a year")
    assert len(boxes(svg)) == 54
    names = [text.text for text in drawn(svg).iter("text")]
    assert names[:2] == ["week 0", "week 5"]
    assert len(names) == 11
