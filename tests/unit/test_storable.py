"""JSON in the form in which the database gives it back."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkops.core.db import Database
from sparkops.core.json import canonical, digest
from sparkops.core.storable import storable, storable_text

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


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
async def test_the_database_gives_back_what_has_the_same_digest(database: Database, value: Any) -> None:
    kept = storable(value)
    assert digest(await database.pool.fetchval("SELECT $1::jsonb", kept)) == digest(kept)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\0b", "a\ufffdb"), ("\ud800x", "\ufffd\ufffd\ufffdx"), ("grün\0", "grün\ufffd"), ("ok", "ok")],
)
def test_characters_that_cannot_be_stored_are_replaced(text: str, expected: str) -> None:
    assert storable_text(text) == expected
