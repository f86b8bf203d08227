"""Runs that people have to let begin, and outputs that they have to let out."""

from collections.abc import Sequence

from tests.mutation.guards.guard import Guard, guard

_SAME_WORKFLOW = "r.project_id = p_run.project_id AND r.workflow_id = p_run.workflow_id"

CLEARANCE: Sequence[Guard] = (
    guard(
        "accept: a run that people have to let begin is held",
        "engine/clearance",
        (
            "accept",
            "v_status IN ('queued', 'awaiting_approval') AND s.status IN",
            "v_status = 'queued' AND s.status IN",
        ),
    ),
    guard(
        "accept: the rules of today, where people are asked",
        "engine/clearance",
        ("accept", "IF (p ? 'decisions' OR p ? 'consent') AND", "IF p ? 'decisions' AND"),
    ),
    guard(
        "judge_run: the demands of today",
        "engine/clearance",
        ("judge_run", "OR NOT engine.covers(v_asked.demands, v_demands) OR", "OR"),
    ),
    guard(
        "judge_run: what was agreed to",
        "engine/clearance",
        ("judge_run", "OR v_asked.request_hash <> p ->> 'request_hash'\n", "\n"),
    ),
    guard(
        "judge_run: a no stays",
        "engine/clearance_of_outputs::test_a_no_to_an_output_stays_a_no_where_no_rule_asks_any_more",
        ("judge_run", "IF v_status = 'allowed' AND v_asked.status IN ('rejected', 'expired') THEN", "IF false THEN"),
    ),
    guard(
        "judge_run: consent that came too late",
        "engine/clearance",
        ("judge_run", "ELSIF v_asked.expires_at <= clock_timestamp() AND", "ELSIF false AND"),
    ),
    guard(
        "judge_run: a question that no rule asks any more",
        "engine/clearance",
        ("judge_run", "IF v_status IS NOT NULL OR NOT engine.covers", "IF NOT engine.covers"),
    ),
    guard(
        "answer: a run is to be advanced",
        "engine/clearance",
        ("answer", "    INSERT INTO unadvanced (run_id) VALUES (v_approval.run_id);\n", ""),
    ),
    guard(
        "expire_approvals: a run is to be advanced",
        "engine/clearance",
        (
            "expire_approvals",
            "    INSERT INTO unadvanced (run_id) SELECT v_due.run_id WHERE v_due.step_id IS NULL;\n",
            "",
        ),
    ),
    guard(
        "blocked_by: a run whose output is held keeps its place",
        "engine/clearance_of_outputs",
        (
            "blocked_by",
            "'awaiting_approval')\n         AND " + _SAME_WORKFLOW + "\n         AND r.concurrency_key",
            "'')\n         AND " + _SAME_WORKFLOW + "\n         AND r.concurrency_key",
        ),
    ),
)
