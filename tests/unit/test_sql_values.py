"""Values between JSON and PostgreSQL."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkops.core.json import Json
from sparkops.runtime.effects import CallFailed
from sparkops.runtime.tools.sql_values import column_names, from_server, to_server


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, "text", None),
        (True, "bool", True),
        (7, "int8", 7),
        (float("inf"), "float8", "inf"),
        (Decimal("12.50"), "numeric", 12.5),
        (Decimal(3), "numeric", 3),
        (Decimal("0.1234567890123456789"), "numeric", "0.1234567890123456789"),
        (Decimal(2**60), "numeric", "1152921504606846976"),
        (Decimal("NaN"), "numeric", "NaN"),
        (date(2014, 1, 2), "date", "2014-01-02"),
        (datetime(2014, 1, 2, 3, tzinfo=UTC), "timestamptz", "2014-01-02T03:00:00+00:00"),
        (time(3, 4), "time", "03:04:00"),
        (timedelta(hours=1), "interval", "1:00:00"),
        (b"\x00\xff", "bytea", "00ff"),
        ('{"a": 1}', "jsonb", {"a": 1}),
        ('{"a": 1}', "text", '{"a": 1}'),
        ([Decimal("1.5"), None], "numeric[]", [1.5, None]),
        (UUID(int=5), "uuid", "00000000-0000-0000-0000-000000000005"),
    ],
)
def test_columns_become_json(value: Any, kind: str, expected: Json) -> None:
    assert from_server(value, kind) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**15), max_value=10**15))
def test_an_exact_number_never_changes_its_value(value: Decimal) -> None:
    found = from_server(value, "numeric")
    assert Decimal(found if isinstance(found, str) else repr(found)) == value


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("5", "int4", 5),
        (5.0, "int8", 5),
        (1, "float8", 1.0),
        ("1.10", "numeric", Decimal("1.10")),
        ({"a": 1}, "jsonb", '{"a":1}'),
        (5, "text", "5"),
        ("2014-01-02", "date", date(2014, 1, 2)),
        ("2014-01-02T03:00:00Z", "timestamp", datetime(2014, 1, 2, 3)),  # noqa: DTZ001 -- a type without time zone
        ("2014-01-02T03:00:00", "timestamptz", datetime(2014, 1, 2, 3, tzinfo=UTC)),
        (90, "interval", timedelta(seconds=90)),
        ("ff", "bytea", b"\xff"),
        (["2014-01-02"], "date[]", [date(2014, 1, 2)]),
        ("red", "my_colours", "red"),
        (None, "int4", None),
    ],
)
def test_parameters_become_what_the_server_needs(value: Json, kind: str, expected: Any) -> None:
    assert to_server([value], [Named(kind)]) == [expected]


@pytest.mark.parametrize(
    ("value", "kind"), [(1.5, "int4"), (True, "int4"), ("yes", "bool"), ("x", "numeric"), (5, "date"), (5, "int4[]")]
)
def test_parameters_that_do_not_fit_are_refused_by_place(value: Json, kind: str) -> None:
    with pytest.raises(CallFailed, match=r"\$1 must be of type"):
        to_server([value], [Named(kind)])


def test_columns_keep_names_of_their_own() -> None:
    assert column_names(["a", "a", "a_2", "b", "a"]) == ["a", "a_2", "a_2_2", "b", "a_3"]
