"""A number in a path or a query is spelled one way."""

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from services.api.routes.accords import number_of
from services.api.routes.numbers import DECIMAL, WHOLE

WholeNumber = Annotated[int, WHOLE]
Decimal = Annotated[float, DECIMAL]

MISSPELLED = ["", "01", "+1", " 1", "1 ", "1\n", "1_0", "0x1", "1e2", "-0", "--1", "١", "１", "²"]


@pytest.mark.parametrize("text", [*MISSPELLED, "1.0"])
def test_a_whole_number_has_one_spelling(text: str) -> None:
    with pytest.raises(ValidationError, match="must be a whole number, like 50"):
        TypeAdapter(WholeNumber).validate_python(text)
    assert number_of(text) is None


@pytest.mark.parametrize(
    "text", [*MISSPELLED[:-6], "--1", "-01.5", "1.", ".5", "1.5.", "1e", "e2", "1e2.5", "nan", "inf", "١.٥"]
)
def test_a_decimal_number_is_one_of_json(text: str) -> None:
    with pytest.raises(ValidationError, match=r"must be a number, like 40 or 12.5"):
        TypeAdapter(Decimal).validate_python(text)


@pytest.mark.parametrize("text", ["0", "7", "-12", "500"])
def test_whole_numbers_are_read(text: str) -> None:
    assert TypeAdapter(WholeNumber).validate_python(text) == int(text)


@pytest.mark.parametrize("text", ["0", "7", "-12", "0.5", "-0.25", "40.0", "1e2", "1E+16", "2.5e-05"])
def test_decimal_numbers_are_read(text: str) -> None:
    assert TypeAdapter(Decimal).validate_python(text) == float(text)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("12", 12), ("2147483647", 2**31 - 1)])
def test_the_number_of_a_version(text: str, number: int) -> None:
    assert number_of(text) == number
    assert number_of("0") is number_of(str(2**31)) is number_of("9" * 30) is number_of("-1") is None
