"""Rows that only a worker would make, for looking at them through the API."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sparkops.api.deps import Door
from sparkops.core.clock import utc_now
from sparkops.core.ids import new_id
from sparkops.core.payloads import INLINE_BYTES, references
from sparkops.domains.approvals.models import Approval
from sparkops.domains.artifacts.models import Artifact
from sparkops.domains.effects.models import Call
from sparkops.domains.policies.models import PolicyDecision, Violation
from sparkops.domains.runs.models import Frame
from tests.api.conftest import SOURCE, Person

REPORT = b"# Report\n"


@dataclass(frozen=True)
class Things:
    """One of everything that has an id, in ann's project."""

    agent_id: UUID
    workflow_id: UUID
    run_id: UUID
    step_id: UUID
    tool_id: UUID
    approval_id: UUID
    artifact_id: UUID
    call_id: UUID
    halt_id: UUID
    policy_id: UUID
    decision_id: UUID
    violation_id: UUID
    backtest_id: UUID
    budget_id: UUID
    account_id: UUID
    key_id: UUID
    secret_id: UUID
    window_id: UUID
    number: int
    """Of a line of the audit trail."""
    sha256: str
    """Of a large value that the run refers to."""


AGENT = {
    "model": "scripted",
    "instructions": "Answer.",
    "tools": ["noop"],
    "script": {"turns": [{"text": "done"}]},
}


async def make_things(ann: Person, door: Door, project: str = "weather") -> Things:
    agent = await ann.client.post("/api/v1/agents", json={"project": project, "name": "analyst", "definition": AGENT})
    source = SOURCE.format(name="report")
    workflow = await ann.client.post("/api/v1/workflows", json={"project": project, "source": source})
    run = await ann.client.post("/api/v1/runs", json={"project": project, "workflow": "report"})
    run_id = UUID(run.json()["id"])
    steps = await ann.client.get(f"/api/v1/runs/{run_id}/steps")
    tools = await ann.client.get("/api/v1/tools", params={"project": project})
    budget_id = await make_budget(ann, project)
    rows = await add_rows(ann, door, run_id, UUID(steps.json()["items"][0]["id"]))
    return Things(
        agent_id=UUID(agent.json()["id"]),
        workflow_id=UUID(workflow.json()["id"]),
        run_id=run_id,
        step_id=UUID(steps.json()["items"][0]["id"]),
        tool_id=UUID(tools.json()["items"][0]["id"]),
        approval_id=rows[0],
        artifact_id=rows[1],
        call_id=rows[2],
        decision_id=rows[3],
        violation_id=rows[4],
        **await make_policy(ann, project),
        halt_id=await make_halt(ann, project),
        budget_id=budget_id,
        **await make_account(ann, project),
        secret_id=await make_secret(ann, project),
        window_id=await make_window(door, budget_id, run_id),
        number=await line_of(door, run_id),
        sha256=await add_value(door, run_id, UUID(steps.json()["items"][0]["id"])),
    )


POLICY = """\
version: 1
name: publishing
rules:
  - {name: publish, on: [tool.call], tools: [files.write], effect: require_approval, reason: Somebody reads it first.}
tests:
  - {name: a report, on: tool.call, facts: {tool.name: files.write}, expect: require_approval, rule: publish}
"""


async def make_policy(ann: Person, project: str = "weather") -> dict[str, UUID]:
    """A policy that is not in force, and a backtest of it that nobody has judged yet."""
    saved = await ann.client.post("/api/v1/policies", json={"project": project, "source": POLICY})
    assert saved.status_code == 201, saved.text
    policy_id = saved.json()["policy"]["id"]
    draft = {"project": project, "policy_id": policy_id, "version": 1, "since": "2026-01-01T00:00:00Z"}
    backtest = await ann.client.post("/api/v1/backtests", json=draft | {"until": "2026-02-01T00:00:00Z"})
    assert backtest.status_code == 201, backtest.text
    return {"policy_id": UUID(policy_id), "backtest_id": UUID(backtest.json()["id"])}


async def make_account(ann: Person, project: str) -> dict[str, UUID]:
    """A service account with a key."""
    accounts = f"/api/v1/projects/{project}/service-accounts"
    account = await ann.client.post(accounts, json={"name": "deployer", "role": "developer"})
    assert account.status_code == 201, account.text
    stated = {"name": "ci", "scopes": ["run:create", "run:read"]}
    key = await ann.client.post(f"{accounts}/{account.json()['id']}/keys", json=stated)
    assert key.status_code == 201, key.text
    return {"account_id": UUID(account.json()["id"]), "key_id": UUID(key.json()["id"])}


async def line_of(door: Door, run_id: UUID) -> int:
    found: int = await door.database.pool.fetchval("SELECT id FROM audit WHERE object = $1", f"run:{run_id}")
    return found


async def project_of(door: Door, run_id: UUID) -> UUID:
    found: UUID = await door.database.pool.fetchval("SELECT project_id FROM runs WHERE id = $1", run_id)
    return found


async def add_value(door: Door, run_id: UUID, step_id: UUID) -> str:
    """Add a large value as an item that the step works through."""
    project = await project_of(door, run_id)
    stored = (await door.engine.payloads.store(project, "x" * INLINE_BYTES)).value
    frame = Frame(parent_id=step_id, frame_no=1, run_id=run_id, project_id=project, value=stored)
    async with door.database.sessions.begin() as session:
        session.add(frame)
    (found,) = references(stored)
    return found.sha256


async def make_budget(ann: Person, project: str = "weather") -> UUID:
    budget = {"project": project, "name": "calls", "scope": "project", "period": "month", "limit_calls": 1_000}
    made = await ann.client.post("/api/v1/budgets", json=budget)
    assert made.status_code == 201, made.text
    return UUID(made.json()["id"])


async def make_secret(ann: Person, project: str) -> UUID:
    secret = {"project": project, "name": "stripe-key", "value": "sk-0123456789"}
    made = await ann.client.post("/api/v1/secrets", json=secret)
    assert made.status_code == 201, made.text
    return UUID(made.json()["id"])


async def make_window(door: Door, budget_id: UUID, run_id: UUID) -> UUID:
    """The window of the budget that a call of the run would be counted on."""
    await door.database.pool.execute("SELECT engine.budgets_of($1, NULL)", run_id)
    found: UUID = await door.database.pool.fetchval("SELECT id FROM budgets WHERE definition_id = $1", budget_id)
    return found


async def make_halt(ann: Person, project: str = "weather") -> UUID:
    """A halt that was in force for a moment."""
    order = {"kind": "pause", "scope": "project", "project": project, "reason": "maintenance"}
    halt = await ann.client.post("/api/v1/halts", json=order)
    assert halt.status_code == 201, halt.text
    await ann.client.post(f"/api/v1/halts/{halt.json()['id']}/release")
    return UUID(halt.json()["id"])


async def add_rows(ann: Person, door: Door, run_id: UUID, step_id: UUID) -> tuple[UUID, UUID, UUID, UUID, UUID]:
    """Add a call that waits for an approval, with its decision and a violation, and a file."""
    owned = {"project_id": await project_of(door, run_id), "run_id": run_id}
    decision_id, call_id, approval_id, artifact_id, violation_id = (new_id() for _ in range(5))
    sha256 = await door.blobs.put(REPORT)
    request = {"tool": "files.write", "arguments": {"name": "report.md", "content": "# Report"}}
    decision = PolicyDecision(
        **owned,
        id=decision_id,
        step_id=step_id,
        subject="tool.call",
        name="files.write",
        subject_kind="call",
        subject_id=call_id,
        request_hash="h",
        policy_version=1,
        outcome="require_approval",
        rule="publish",
        reason="Somebody reads it first.",
        facts={},
    )
    call = Call(
        **owned,
        id=call_id,
        step_id=step_id,
        seq=1,
        kind="tool",
        name="files.write",
        request_hash="h",
        request=request,
        effect_class="txn",
        status="waiting_approval",
        decision_id=decision_id,
        approval_id=approval_id,
        attempt=1,
        usage={"input_tokens": 120, "output_tokens": 7},
        cost_micros=250,
    )
    approval = Approval(
        **owned,
        id=approval_id,
        step_id=step_id,
        subject_kind="call",
        subject_id=call_id,
        request_hash="h",
        title="Publish the report?",
        proposed_request=request,
        status="pending",
        reason="Somebody reads it first.",
        rule="publish",
        requested_by=ann.id,
        expires_at=utc_now() + timedelta(hours=1),
    )
    artifact = Artifact(
        **owned,
        id=artifact_id,
        step_id=step_id,
        call_id=call_id,
        name="out/näme.md",
        version=1,
        media_type="text/markdown",
        size_bytes=len(REPORT),
        sha256=sha256,
    )
    violation = Violation(
        **owned,
        id=violation_id,
        decision_id=decision_id,
        rule="no-reports",
        severity="high",
        monitored=True,
        subject="tool.call",
        name="files.write",
        reason="No more reports.",
    )
    async with door.database.sessions.begin() as session:
        session.add_all([decision, call, approval, artifact, violation])
    return approval_id, artifact_id, call_id, decision_id, violation_id


async def add_model_call(door: Door, run_id: UUID, step_id: UUID) -> UUID:
    """Add a model call that was allowed and is being answered."""
    project_id = await project_of(door, run_id)
    decision_id, call_id = new_id(), new_id()
    decision = PolicyDecision(
        project_id=project_id,
        run_id=run_id,
        id=decision_id,
        step_id=step_id,
        subject="llm.call",
        name="scripted",
        subject_kind="call",
        subject_id=call_id,
        request_hash="h",
        policy_version=1,
        outcome="allow",
        facts={},
    )
    call = Call(
        project_id=project_id,
        run_id=run_id,
        id=call_id,
        step_id=step_id,
        seq=1,
        kind="llm",
        name="scripted",
        request_hash="h",
        request={},
        effect_class="pure",
        status="prepared",
        decision_id=decision_id,
        attempt=1,
        prepared_at=utc_now(),
    )
    async with door.database.sessions.begin() as session:
        session.add(decision)
    async with door.database.sessions.begin() as session:
        session.add(call)
    return call_id
