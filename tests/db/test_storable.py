"""What is made storable comes back from PostgreSQL as it went in."""

from typing import Any

from hypothesis import HealthCheck, given, settings

from sparkops.core.db import Database
from sparkops.core.json import digest
from sparkops.core.storable import storable
from tests.unit.test_storable import values


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
async def test_the_database_gives_back_what_has_the_same_digest(database: Database, value: Any) -> None:
    kept = storable(value)
    assert digest(await database.pool.fetchval("SELECT $1::jsonb", kept)) == digest(kept)
