"""What tokens cost. A stated price wins; else the library of known prices decides; an unknown model is refused."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from genai_prices import Usage as PricedUsage
from genai_prices import calc_price

from sparkops.core.model_spec import Price as StatedPrice
from sparkops.core.money import Micros, micros_from_usd
from sparkops.runtime.effects import StepFailed, Usage

MILLION = Decimal(1_000_000)


class Price(Protocol):
    """The price of one model."""

    def cost(self, usage: Usage) -> Micros:
        """Return what this usage costs."""
        ...


@dataclass(frozen=True, slots=True)
class Stated:
    """A price that an operator or a definition states. Cached and reasoning tokens cost what the others cost."""

    price: StatedPrice

    def cost(self, usage: Usage) -> Micros:
        """Return what this usage costs."""
        dollars = (
            usage.input_tokens * self.price.input_usd_per_million
            + usage.output_tokens * self.price.output_usd_per_million
        )
        return micros_from_usd(dollars / MILLION)


@dataclass(frozen=True, slots=True)
class Known:
    """A price from the library, which charges cached input less; reasoning is part of the output."""

    model: str
    base_url: str | None

    def cost(self, usage: Usage) -> Micros:
        """Return what this usage costs at today's known price."""
        counted = PricedUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        )
        if self.base_url is None:
            return micros_from_usd(calc_price(counted, self.model).total_price)
        return micros_from_usd(calc_price(counted, self.model, provider_api_url=self.base_url).total_price)


def known_price(model: str, base_url: str, *, state_where: str) -> Known:
    """Return the library's price: of this model at this address, or else of a model of this name anywhere.

    Raises:
        StepFailed: the library does not know the model; the message says where to state its price.
    """
    for price in (Known(model, base_url), Known(model, None)):
        try:
            price.cost(Usage(input_tokens=1, output_tokens=1))
        except LookupError:
            continue
        return price
    raise StepFailed(
        "price-unknown",
        f"The price of the model {model} is not known, so nothing can be reserved for it. State it: {state_where}.",
    )


def bound(price: Price, input_bytes: int, max_output_tokens: int) -> Micros:
    """Return an upper bound of a call's cost. A token is at least one byte; writing to a cache may cost more."""
    plain = Usage(input_tokens=input_bytes, output_tokens=max_output_tokens)
    writing = Usage(input_tokens=input_bytes, output_tokens=max_output_tokens, cache_write_tokens=input_bytes)
    return Micros(max(price.cost(plain), price.cost(writing)))
