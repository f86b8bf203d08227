"""JSON in the form in which the database gives it back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.core.json import canonical
from sparkops.core.storable import storable, storable_text

# Where writing a number switches between plain digits and an exponent, and where integers end.
EDGES = (1e15, 1e16, -1e16, 1.2345678901234568e17, 9.3e18, 1e19, 1.9e19, 1e20, -9.3e18, 1e300, 5e-324, -0.0)

numbers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.sampled_from(
        [1e15, 1e16, -1e16, 1.2345678901234568e17, 9.3e18, 1e19, 1.9e19, 1e20, -9.3e18, 1e300, 5e-324, -0.0]
    ),
)
texts = st.text(st.characters(codec=None), max_size=8)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@given(values)
def test_making_storable_twice_changes_nothing(value: Any) -> None:
    assert canonical(storable(storable(value))) == canonical(storable(value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\0b", "a\ufffdb"), ("\ud800x", "\ufffd\ufffd\ufffdx"), ("grün\0", "grün\ufffd"), ("ok", "ok")],
)
def test_characters_that_cannot_be_stored_are_replaced(text: str, expected: str) -> None:
    assert storable_text(text) == expected
