"""What both sides sign: the document as written, in its canonical form."""

import json
from typing import Any

import pytest
from agreement_builders import MINIMAL

from shared.agreement.canonical import canonical_json, canonical_sha256
from shared.agreement.loading import default_accord_text, load_accord, read_accord


def test_an_accord_is_dumped_as_it_was_written() -> None:
    accord = load_accord(default_accord_text())
    again = read_accord(json.loads(accord.model_dump_json()))
    assert again == accord
    assert again.model_dump()["scoring"]["engagement"]["half_life"] == "30d"
    assert canonical_sha256(again) == canonical_sha256(accord)


def test_the_digest_does_not_depend_on_layout_and_depends_on_content() -> None:
    base = canonical_sha256(load_accord(MINIMAL))
    reordered = "stages: {mql: {engagement: {gte: 40}}}\n" + MINIMAL.split("stages:")[0]
    assert canonical_sha256(load_accord(reordered)) == base
    assert canonical_sha256(load_accord(MINIMAL.replace("40", "41"))) != base
    assert len(base) == 32


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (40.0, "40"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (0.000001, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (-0.0, "0"),
        (-12.5, "-12.5"),
        (123456.789, "123456.789"),
        (333333333.33333329, "333333333.3333333"),
        (4.5, "4.5"),
        (2e-3, "0.002"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (5e-324, "5e-324"),
        ({"b": 1, "a": [True, None, "é\n"]}, '{"a":[true,null,"é\\n"],"b":1}'),
        (True, "true"),
        (None, "null"),
        ('€$\x0f\nA\'B"\\\\"/', '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        ({"\ufb33": 1, "\U0001f600": 2, "€": 3, "1": [4, {}]}, '{"1":[4,{}],"€":3,"😀":2,"\ufb33":1}'),
    ],
)
def test_canonical_json_is_that_of_rfc_8785(value: Any, text: str) -> None:
    assert canonical_json(value) == text
