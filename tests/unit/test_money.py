"""Amounts in the units that the payment provider counts in."""

from decimal import Decimal

import pytest

from service.charging.money import in_major_units, in_minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("19.90", "EUR", 1990),
        ("0.01", "USD", 1),
        ("1200.00", "JPY", 1200),
        ("12.34", "KWD", 12340),
        ("1200.00", "ISK", 120000),
        ("5.00", "UGX", 500),
        ("-3.50", "EUR", -350),
    ],
)
def test_an_amount_in_the_providers_unit_and_back(amount: str, currency: str, units: int) -> None:
    assert in_minor_units(Decimal(amount), currency) == units
    assert in_major_units(units, currency) == Decimal(amount)


@pytest.mark.parametrize("currency", ["JPY", "KRW", "ISK", "UGX"])
def test_a_currency_without_small_coins_has_no_fractions(currency: str) -> None:
    with pytest.raises(ValueError, match=r"0\.50 .* smallest coin"):
        in_minor_units(Decimal("0.50"), currency)
