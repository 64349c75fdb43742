"""Amounts in the unit that Stripe counts in: the currency's minor unit, mostly a hundredth.

See docs.stripe.com/currencies.
"""

from decimal import Decimal

WHOLE = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a list to read
)
"""Currencies without a minor unit."""
THOUSANDTHS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""Their last digit has to be 0, as it is for prices with two decimals."""
WHOLE_IN_HUNDREDTHS = frozenset({"ISK", "UGX"})
"""Currencies without a minor unit, which Stripe counts in hundredths all the same."""


def in_minor_units(amount: Decimal, currency: str) -> int:
    """The amount as Stripe wants it. Raises ValueError for a part of the smallest coin."""
    smallest = 0 if currency in WHOLE | WHOLE_IN_HUNDREDTHS else digits(currency)
    if amount.scaleb(smallest) % 1:
        raise ValueError(f"{amount} {currency} is no multiple of the currency's smallest coin")
    return int(amount.scaleb(digits(currency)))


def in_major_units(units: int, currency: str) -> Decimal:
    """The amount as people write it."""
    return Decimal(units).scaleb(-digits(currency))


def digits(currency: str) -> int:
    """How many decimals Stripe's unit stands for."""
    if currency in WHOLE:
        return 0
    return 3 if currency in THOUSANDTHS else 2
