"""Money is an integer number of micros: millionths of a US dollar. Floats never carry money."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import NewType

Micros = NewType("Micros", int)

MICROS_PER_USD = 1_000_000


def micros_from_usd(amount: Decimal) -> Micros:
    """Round a dollar amount half to even; prices and texts enter here and nowhere else."""
    return Micros(int((amount * MICROS_PER_USD).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)))


def format_usd(amount: int) -> str:
    """Write micros for people: two decimals, or up to six where cents would hide the amount."""
    usd = Decimal(amount) / MICROS_PER_USD
    text = f"{usd:.6f}".rstrip("0")
    whole, _, fraction = text.partition(".")
    return f"${whole}.{fraction.ljust(2, '0')}"
