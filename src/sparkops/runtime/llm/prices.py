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
    """A price that an operator or a definition states, of cached and reasoning tokens too where it says so."""

    price: StatedPrice

    def cost(self, usage: Usage) -> Micros:
        """Return what this usage costs."""
        price = self.price
        parts = (
            (usage.cached_tokens, price.cached_input_usd_per_million, price.input_usd_per_million),
            (usage.cache_write_tokens, price.cache_write_usd_per_million, price.input_usd_per_million),
            (usage.reasoning_tokens, price.reasoning_usd_per_million, price.output_usd_per_million),
        )
        dollars = (
            usage.input_tokens * price.input_usd_per_million
            + usage.output_tokens * price.output_usd_per_million
            + sum(tokens * (own - usual) for tokens, own, usual in parts if own is not None)
        )
        return micros_from_usd(max(dollars, Decimal(0)) / MILLION)


@dataclass(frozen=True, slots=True)
class Free:
    """What an operator says of a model whose price nobody knows: it counts as costing nothing."""

    def cost(self, usage: Usage) -> Micros:
        """Return nothing."""
        return Micros(0)


@dataclass(frozen=True, slots=True)
class Known:
    """A price from the library, with what it says of cached input and of reasoning."""

    model: str
    base_url: str | None

    def cost(self, usage: Usage) -> Micros:
        """Return what this usage costs at today's known price."""
        counted = PricedUsage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            output_reasoning_tokens=usage.reasoning_tokens,
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
    """Return an upper bound of a call's cost. A token is at least one byte; some kinds of tokens may cost more."""
    kinds = (
        Usage(
            input_bytes, max_output_tokens, cached_tokens=cached, cache_write_tokens=written, reasoning_tokens=reasoned
        )
        for cached, written in ((0, 0), (input_bytes, 0), (0, input_bytes))
        for reasoned in (0, max_output_tokens)
    )
    return Micros(max(price.cost(usage) for usage in kinds))
