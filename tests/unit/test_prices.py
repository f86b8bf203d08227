"""What tokens cost, and that a bound is one."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkops.core.errors import ConfigError
from sparkops.core.model_spec import Price as StatedPrice
from sparkops.runtime.effects import StepFailed, Usage
from sparkops.runtime.llm.prices import Known, Price, Stated, bound, known_price
from sparkops.runtime.tools.noop import NOOP
from sparkops.runtime.tools.registry import priced

OPENAI = "https://api.openai.com/v1"
STATED = Stated(StatedPrice(input_usd_per_million=Decimal("0.15"), output_usd_per_million=Decimal("0.60")))


def test_a_stated_price_is_charged_to_the_micro() -> None:
    assert STATED.cost(Usage(1_000_000, 1_000_000)) == 750_000
    assert STATED.cost(Usage(10, 0)) == 2, "1.5 micros are rounded half to even"


def test_the_library_charges_cached_input_less() -> None:
    price = known_price("gpt-4o-mini", OPENAI, state_where="here")
    plain, cached = Usage(1_000_000, 0), Usage(1_000_000, 0, cached_tokens=1_000_000)
    assert price.cost(cached) < price.cost(plain)


def test_the_library_charges_reasoning_at_its_own_price_where_it_has_one() -> None:
    price = known_price("sonar-deep-research", "https://api.perplexity.ai", state_where="here")
    assert price.cost(Usage(0, 1_000_000)) != price.cost(Usage(0, 1_000_000, reasoning_tokens=1_000_000))


def test_a_price_for_what_is_no_tool_is_refused() -> None:
    with pytest.raises(ConfigError, match="names mail, which is no tool"):
        priced({"noop": NOOP}, {"mail": Decimal(1)})


def test_a_known_model_behind_an_unknown_address_has_its_usual_price() -> None:
    price = known_price("gpt-4o-mini", "http://127.0.0.1:8080/v1", state_where="here")
    assert price == Known("gpt-4o-mini", None)
    assert price.cost(Usage(1_000, 1_000)) > 0


def test_an_unknown_model_is_refused_with_what_to_state() -> None:
    with pytest.raises(StepFailed, match="State it: in the settings") as failed:
        known_price("nobody-knows-it", OPENAI, state_where="in the settings")
    assert (failed.value.code, failed.value.retryable) == ("price-unknown", False)


usages = st.tuples(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))


@settings(deadline=None)  # the first look into the library takes long
@given(usages, st.sampled_from([STATED, Known("gpt-4o-mini", OPENAI), Known("claude-sonnet-4-5", None)]))
def test_no_usage_within_the_bounds_costs_more_than_the_bound(
    used: tuple[int, int, float, float], price: Price
) -> None:
    tokens_in, tokens_out, cached, written = used
    usage = Usage(
        tokens_in,
        tokens_out,
        cached_tokens=int(tokens_in * cached),
        cache_write_tokens=int(tokens_in * (1 - cached) * written),
    )
    assert price.cost(usage) <= bound(price, tokens_in, tokens_out)
