"""What a new run made from another one would keep, do again, and repeat outside: looked at before it is started."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from sparkops.core.permissions import Permission
from sparkops.core.principal import Principal
from sparkops.domains.effects.state import CallStatus, EffectClass
from sparkops.domains.runs.state import RunStatus
from sparkops.engine.context import Engine
from sparkops.engine.draft import Rerun, draft_run, find_source
from sparkops.engine.kept import Fate, Past, inputs_read, parts_of

MAX_EFFECTS = 200
"""How many repeated side effects a plan lists; it counts all of them."""
MAX_ARGUMENT_CHARS = 300

_STEPS = """
SELECT key, count(*) AS calls, sum((made).cost_micros)::bigint AS cost_micros,
       sum(((made).usage ->> 'input_tokens')::bigint)::bigint AS input_tokens,
       sum(((made).usage ->> 'output_tokens')::bigint)::bigint AS output_tokens,
       count(*) FILTER (WHERE key = ANY ($2) AND (made).effect_class <> 'pure' AND NOT (made).id = ANY ($3)
                          AND may_stand) AS repeats
  FROM engine.calls_below($1) GROUP BY key
"""
_EFFECTS = """
SELECT key, (made).id, (made).run_id, (made).step_id, (made).name, (made).effect_class, (made).status,
       (made).request_hash, coalesce((made).prepared_at, (made).finished_at) AS at,
       left(coalesce((made).request -> 'arguments', (made).request)::text, $4) AS arguments
  FROM engine.calls_below($1)
 WHERE key = ANY ($2) AND (made).effect_class <> 'pure' AND NOT (made).id = ANY ($3)
   AND may_stand
 ORDER BY (made).proposed_at, (made).id LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step's calls came to, in the source alone; tokens None: none were recorded."""

    calls: int = 0
    cost_micros: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RepeatedEffect:
    """A call that was made, changes something outside, and would be made again.

    `run_id` is another than the source where a sub-workflow made it. `arguments` is their beginning, `request_hash`
    the digest of the whole.
    """

    call_id: UUID
    run_id: UUID
    step_id: UUID
    key: str
    name: str
    effect_class: EffectClass
    status: CallStatus
    arguments: str
    request_hash: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of the new run. `past` None: the source has no such step.

    `inputs`: which inputs it may read. `kept_calls`: how many recorded calls answer it, if it runs again. `repeats`:
    how many side effects it repeats.
    """

    fate: Fate
    type: str
    name: str | None
    past: Past | None
    cost: Cost
    inputs: Sequence[str]
    kept_calls: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a new run would keep and do again. `labels`: of its input. `gone`: steps of the source that the
    version does not have.

    `effects` are the first `MAX_EFFECTS` that would repeat, `effects_total` is how many there are.
    """

    source_status: RunStatus
    version: int
    labels: Sequence[str]
    steps: Sequence[PlannedStep]
    gone: Sequence[str]
    effects: Sequence[RepeatedEffect]
    effects_total: int


async def plan_rerun(engine: Engine, principal: Principal, run_id: UUID, request: Rerun) -> Plan:
    """Return what a new run made from this one would keep, do again and repeat; nothing is written.

    Raises:
        NotFound, RunNotEnded, NothingToRetry, Invalid: as `start_rerun` would.
    """
    pool = engine.database.pool
    source = await find_source(engine, principal, Permission.RUN_READ, run_id, None)
    draft = await draft_run(engine, principal, source, request)
    again, parts = draft.again(), parts_of(draft.graph.definition)
    answered = [one.id for key in again for one in draft.calls.get(key, ())]
    made = {row["key"]: row for row in await pool.fetch(_STEPS, run_id, again, answered)}
    effects = await pool.fetch(_EFFECTS, run_id, again, answered, MAX_ARGUMENT_CHARS, MAX_EFFECTS)

    def planned(key: str) -> PlannedStep:
        node, fate, then = draft.graph.by_key[key], draft.fates[key], made.get(key)
        return PlannedStep(
            fate=fate,
            type=node.type,
            name=node.name,
            past=draft.past.get(key),
            cost=_cost(then) if then else Cost(),
            inputs=inputs_read(parts[key], draft.values.keys()),
            kept_calls=0 if fate.kept else len(draft.calls.get(key, ())),
            repeats=then["repeats"] if then else 0,
        )

    return Plan(
        source_status=RunStatus(draft.source["status"]),
        version=draft.version,
        labels=draft.labels,
        steps=[planned(key) for key in draft.fates],
        gone=draft.gone,
        effects=[_effect(row) for row in effects],
        effects_total=sum(row["repeats"] for row in made.values()),
    )


def _cost(row: asyncpg.Record) -> Cost:
    return Cost(row["calls"], row["cost_micros"], row["input_tokens"], row["output_tokens"])


def _effect(row: asyncpg.Record) -> RepeatedEffect:
    return RepeatedEffect(
        call_id=row["id"],
        run_id=row["run_id"],
        step_id=row["step_id"],
        key=row["key"],
        name=row["name"],
        effect_class=EffectClass(row["effect_class"]),
        status=CallStatus(row["status"]),
        arguments=row["arguments"],
        request_hash=row["request_hash"],
        at=row["at"],
    )
