import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas_quant.model import decimal_text, units
from barnabas_quant.model.money import LIMIT, ONE


@given(st.integers(min_value=0, max_value=LIMIT - 1))
def test_units_survive_text(amount: int) -> None:
    assert units(decimal_text(amount)) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1", ONE),
        ("61837.63000000", 6_183_763_000_000),
        ("0.00000001", 1),
        ("0.2", 20_000_000),
        ("1.000000000000", ONE),
        ("92233720368.54775807", LIMIT - 1),
    ],
)
def test_reads_exactly(text: str, amount: int) -> None:
    assert units(text) == amount


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "1\n", "nan", "٣", "0.000000001", "92233720368.54775808"],
)
def test_refuses_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match=r"decimal|too large"):
        units(text)


@pytest.mark.parametrize("amount", [-1, LIMIT])
def test_refuses_to_write_what_does_not_fit(amount: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        decimal_text(amount)
