"""Values between JSON and PostgreSQL, by the types that the server names."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Protocol

from sparkops.core.json import Json, dumps, loads
from sparkops.runtime.effects import CallFailed


class ServerType(Protocol):
    """A type as asyncpg describes it; `name` of an array ends in `[]`."""

    @property
    def name(self) -> str: ...


def column_names(names: Sequence[str]) -> list[str]:
    """Return the names, each once: a second `count` becomes `count_2`, so that no column hides another."""
    unique: list[str] = []
    for name in names:
        candidate, number = name, 2
        while candidate in unique:
            candidate, number = f"{name}_{number}", number + 1
        unique.append(candidate)
    return unique


_FIXED = frozenset({"bool", "int2", "int4", "int8", "oid", "float4", "float8", "date", "time", "timestamp"})
_FIXED |= {"timestamptz", "interval", "uuid", "void"}
_COUNTED = frozenset({"text", "varchar", "bpchar", "bytea"})
"""Their size is known without their content being read."""
_WRITTEN = "sparkops_written"


def bounded_sql(sql: str, types: Sequence[str], max_bytes: int) -> str:
    """Return a statement over a whole one that has these types of columns: the same rows up to the limit.

    It has one more column, which says whether the row and all before it have `max_bytes` at most; from the first row
    on where that is false, all that may be large is null.
    """
    columns = [f"c{number}" for number in range(len(types))]
    sizes = [_size(column, kind) for column, kind in zip(columns, types, strict=True) if kind not in _FIXED]
    kept = [
        column if kind in _FIXED else f"CASE WHEN fits THEN {column} END AS {column}"
        for column, kind in zip(columns, types, strict=True)
    ]
    # OFFSET 0 keeps the planner from computing a column once for its size and once more for itself.
    # lint: allow sql-text -- an author's own statement, run by a role that only reads
    rows = f"SELECT * FROM ({sql.rstrip().rstrip(';')}\n) AS q ({', '.join(columns)}) OFFSET 0"  # noqa: S608 -- its own
    fits = f"sum({' + '.join([*sizes, '0::bigint'])}) OVER (ROWS UNBOUNDED PRECEDING) <= {max_bytes}"
    # lint: allow sql-text -- an author's own statement, run by a role that only reads
    return f"SELECT {', '.join([*kept, 'fits'])} FROM (SELECT *, {fits} AS fits FROM ({rows}) AS r) AS s"  # noqa: S608


def bounded_write(sql: str, types: Sequence[str], max_bytes: int) -> str:
    """Return a statement that does a whole write and gives what that returns as `bounded_sql` does: every row counts,
    those beyond the limit come empty."""
    # lint: allow sql-text -- an author's own statement, as it was prepared
    return f"WITH {_WRITTEN} AS ({sql.rstrip().rstrip(';')}\n) {bounded_sql(f'TABLE {_WRITTEN}', types, max_bytes)}"


def _size(column: str, kind: str) -> str:
    text = column if kind in _COUNTED else f"{column}::text"
    return f"coalesce(octet_length({text}), 0)"


def from_server(value: Any, type_name: str) -> Json:
    """Return a column's value as JSON.

    Exact numbers stay numbers where a JSON number holds them exactly, and become texts where it does not. Dates and
    times are ISO 8601, bytes hexadecimal, what is not a number (`NaN`, `Infinity`) a text.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return loads(value) if type_name in ("json", "jsonb") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return _exact(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [from_server(item, type_name.removesuffix("[]")) for item in value]
    return str(value)


def _exact(value: Decimal) -> Json:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    number = float(value)
    return number if math.isfinite(number) and Decimal(repr(number)) == value else str(value)


def to_server(parameters: Sequence[Json], types: Sequence[ServerType]) -> list[Any]:
    """Return the values of `$1`, `$2`, … as the server's types need them.

    Raises:
        CallFailed: there are more or fewer values than places, or one does not fit its type.
    """
    if len(parameters) != len(types):
        raise CallFailed(
            "sql-parameters",
            f"The statement has {len(types)} places ($1, $2, …) and got {len(parameters)} parameters.",
            retryable=False,
        )
    pairs = zip(parameters, types, strict=True)
    return [_convert(value, kind.name, place) for place, (value, kind) in enumerate(pairs, start=1)]


def _convert(value: Json, type_name: str, place: int) -> Any:
    try:
        return _by_type(value, type_name)
    except (ValueError, TypeError, ArithmeticError):
        raise CallFailed(
            "sql-parameters", f"The parameter ${place} must be of type {type_name}, not {value!r}.", retryable=False
        ) from None


def _by_type(value: Json, type_name: str) -> Any:
    if value is None:
        return None
    if type_name.endswith("[]"):
        if not isinstance(value, list):
            raise TypeError(type_name)
        return [_by_type(item, type_name.removesuffix("[]")) for item in value]
    return _CONVERTERS.get(type_name, _unchanged)(value)


def _unchanged(value: Any) -> Any:
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError("int")
    return int(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("bool")
    return value


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value).decode()


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _naive(value: Any) -> datetime:
    return _moment(value).astimezone(UTC).replace(tzinfo=None)


def _seconds(value: Any) -> timedelta:
    return timedelta(seconds=value)


def _json(value: Any) -> str:
    return dumps(value).decode()


_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "int2": _integer,
    "int4": _integer,
    "int8": _integer,
    "oid": _integer,
    "float4": float,
    "float8": float,
    "numeric": _decimal,
    "bool": _bool,
    "text": _text,
    "varchar": _text,
    "bpchar": _text,
    "name": _text,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timestamp": _naive,
    "timestamptz": _moment,
    "interval": _seconds,
    "bytea": bytes.fromhex,
    "json": _json,
    "jsonb": _json,
}
