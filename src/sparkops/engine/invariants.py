"""What must be true of every database at every commit, each as a query that returns nothing.

Read-only and harmless, so that it can be asked of a live system as well as after every test.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sparkops.engine.context import Connection
from sparkops.engine.holders import HOLDERS
from sparkops.engine.invariant import Invariant

INVARIANTS: Sequence[Invariant] = (
    Invariant(
        "result-once",
        "A step's result was recorded by exactly one attempt, its last; that of a copy by none.",
        """
        SELECT s.id AS subject, s.attempt, array_agg(a.attempt) AS succeeded
          FROM steps s JOIN step_attempts a ON a.run_id = s.run_id AND a.step_id = s.id AND a.outcome = 'succeeded'
         GROUP BY s.id HAVING count(*) > 1 OR max(a.attempt) <> s.attempt OR s.status <> 'succeeded'
        UNION ALL
        SELECT s.id, s.attempt, NULL FROM steps s
         WHERE s.status = 'succeeded' AND NOT s.inline AND s.copied_from IS NULL AND NOT EXISTS (
           SELECT 1 FROM step_attempts a
            WHERE a.run_id = s.run_id AND a.step_id = s.id AND a.outcome = 'succeeded')
        """,
    ),
    Invariant(
        "copy-true",
        "A copy of a step was never attempted, and ended well in the source, as the same part; while that is kept.",
        """
        SELECT s.id AS subject, s.copied_from, s.status FROM steps s JOIN runs r ON r.id = s.run_id
         WHERE s.copied_from IS NOT NULL AND (
           s.status NOT IN ('succeeded', 'skipped')
           OR EXISTS (SELECT 1 FROM step_attempts a WHERE a.run_id = s.run_id AND a.step_id = s.id)
           OR EXISTS (SELECT 1 FROM runs q WHERE q.id = r.source_run_id) AND NOT EXISTS (
             SELECT 1 FROM steps o JOIN runs q ON q.id = o.run_id
               JOIN workflow_versions w ON w.id = q.workflow_version_id
               JOIN workflow_versions v ON v.id = r.workflow_version_id
              WHERE o.id = s.copied_from AND o.run_id = r.source_run_id AND o.project_id = s.project_id
                AND o.path = s.path AND o.status = s.status
                AND (o.output IS NOT DISTINCT FROM s.output OR EXISTS (
                  SELECT 1 FROM thinned_runs t WHERE t.run_id IN (q.id, r.id) AND t.values_removed_at IS NOT NULL))
                AND jsonb_path_query_first(v.definition, '$.steps[*] ? (@.id == $key)',
                                           jsonb_build_object('key', s.node_key))
                  = jsonb_path_query_first(w.definition, '$.steps[*] ? (@.id == $key)',
                                           jsonb_build_object('key', s.node_key))))
        """,
    ),
    Invariant(
        "copy-whole",
        "Everything that a copied step needs is a copy, too.",
        """
        SELECT s.id AS subject, n.id AS need FROM steps s JOIN steps n ON n.id = ANY (s.needs)
         WHERE s.copied_from IS NOT NULL AND n.copied_from IS NULL
        """,
    ),
    Invariant(
        "call-copied",
        "A call that no attempt of its run made is a final one of the source, while that is kept; nothing was sent.",
        """
        SELECT c.id AS subject, c.status, c.sends FROM calls c
          JOIN steps s ON s.id = c.step_id JOIN runs r ON r.id = c.run_id
         WHERE c.attempt = 0 AND (
           c.status NOT IN ('done', 'failed', 'denied', 'expired') OR c.sends <> 0 OR c.prepared_at IS NOT NULL
           OR c.cost_micros <> 0
           OR EXISTS (SELECT 1 FROM runs q WHERE q.id = r.source_run_id) AND NOT EXISTS (
             SELECT 1 FROM steps o JOIN calls k ON k.run_id = o.run_id AND k.step_id = o.id
              WHERE o.run_id = r.source_run_id AND o.path = s.path AND k.seq = c.seq AND k.kind = c.kind
                AND k.name = c.name AND k.request_hash = c.request_hash AND k.status = c.status
                AND (k.response IS NOT DISTINCT FROM c.response OR EXISTS (
                  SELECT 1 FROM thinned_runs t WHERE t.run_id IN (o.run_id, c.run_id)
                     AND t.values_removed_at IS NOT NULL))))
        """,
    ),
    Invariant(
        "run-moves",
        "A run that is going on has a step that is ready, running or waiting, or is advanced within 10 s.",
        """
        SELECT r.id AS subject, r.status FROM runs r
         WHERE r.status = 'running'
           AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.run_id = r.id AND s.status IN ('ready', 'running', 'waiting'))
           AND clock_timestamp() - interval '10 seconds' >
               (SELECT max(e.at) FROM events e WHERE e.run_id = r.id)
        """,
    ),
    Invariant(
        "run-ended",
        "A run that has ended has no open step; one that has not has one, is paused, waits for people or a "
        "budget, or is advanced within 10 s.",
        """
        SELECT r.id AS subject, r.status FROM runs r
         WHERE (r.finished_at IS NOT NULL) = EXISTS (
           SELECT 1 FROM steps s WHERE s.run_id = r.id AND s.finished_at IS NULL)
           AND (r.finished_at IS NOT NULL
                OR r.status NOT IN ('paused', 'awaiting_approval') AND NOT r.uncounted AND
                   clock_timestamp() - interval '10 seconds' > (SELECT max(e.at) FROM events e WHERE e.run_id = r.id))
        """,
    ),
    Invariant(
        "budget-kept",
        "What is spent and held fits the limit, but for what was charged above its bound, or let in by a person.",
        """
        SELECT b.id AS subject, b.limit_micros, b.top_micros, b.spent_micros, b.reserved_micros, b.limit_tokens,
               b.spent_tokens, b.reserved_tokens, b.limit_calls, b.calls, b.limit_runs, b.runs FROM budgets b
          LEFT JOIN (SELECT u.id,
                            sum(CASE WHEN v.consented THEN greatest(v.actual_micros, v.amount_micros)
                                     ELSE greatest(v.actual_micros - v.amount_micros, 0) END) AS above,
                            sum(CASE WHEN v.consented THEN greatest(v.actual_tokens, v.amount_tokens)
                                     ELSE greatest(v.actual_tokens - v.amount_tokens, 0) END) AS above_tokens,
                            count(*) FILTER (WHERE v.consented OR v.amount_micros = 0 AND v.actual_micros > 0)
                              AS above_calls
                       FROM reservations v CROSS JOIN LATERAL unnest(v.budget_ids) AS u (id) GROUP BY u.id) v
            ON v.id = b.id
         WHERE (b.spent_micros + b.reserved_micros > coalesce(b.top_micros, b.limit_micros) + coalesce(v.above, 0)
                OR b.spent_tokens + b.reserved_tokens > b.top_tokens + coalesce(v.above_tokens, 0)
                OR b.calls > b.top_calls + coalesce(v.above_calls, 0))
           AND NOT EXISTS (SELECT 1 FROM project_deletions d WHERE d.project_id = b.project_id
                              AND d.status = 'removing')
        """,
    ),
    Invariant(
        "budget-sums",
        "What a budget says is held and spent is the sum of its holds and of its ledger: money, tokens, calls, runs.",
        """
        SELECT b.id AS subject, b.reserved_micros, b.spent_micros, b.reserved_tokens, b.spent_tokens, b.calls, b.runs
          FROM budgets b
          LEFT JOIN (SELECT u.id, count(*) AS calls,
                            sum(v.amount_micros) FILTER (WHERE v.status = 'held') AS held,
                            sum(v.amount_tokens) FILTER (WHERE v.status = 'held') AS held_tokens
                       FROM reservations v CROSS JOIN LATERAL unnest(v.budget_ids) AS u (id) GROUP BY u.id) v
            ON v.id = b.id
          LEFT JOIN (SELECT l.budget_id, sum(l.amount_micros) AS spent, sum(l.tokens) AS tokens,
                            count(*) FILTER (WHERE l.kind = 'run') AS runs
                       FROM ledger_entries l GROUP BY l.budget_id) l
            ON l.budget_id = b.id
         WHERE (b.reserved_micros <> coalesce(v.held, 0) OR b.spent_micros <> coalesce(l.spent, 0)
                OR b.reserved_tokens <> coalesce(v.held_tokens, 0) OR b.spent_tokens <> coalesce(l.tokens, 0)
                OR b.calls <> coalesce(v.calls, 0) OR b.runs <> coalesce(l.runs, 0))
           AND NOT EXISTS (SELECT 1 FROM project_deletions d WHERE d.project_id = b.project_id
                              AND d.status = 'removing')
        """,
    ),
    Invariant(
        "budget-whole",
        "Every hold counts against the run's own budget, while its project is there, and no window of another project.",
        """
        SELECT v.call_id AS subject, v.send_no, v.budget_ids FROM reservations v
         WHERE NOT EXISTS (SELECT 1 FROM budgets b WHERE b.definition_id IS NULL AND b.scope_id = v.run_id
                              AND b.id = ANY (v.budget_ids))
               AND EXISTS (SELECT 1 FROM projects p WHERE p.id = v.project_id AND NOT EXISTS (
                 SELECT 1 FROM project_deletions d WHERE d.project_id = p.id AND d.status = 'removing'))
            OR EXISTS (SELECT 1 FROM budgets b WHERE b.id = ANY (v.budget_ids) AND b.project_id <> v.project_id)
        """,
    ),
    Invariant(
        "call-charged",
        "What a call cost is what the ledger says, and a call that has ended holds nothing.",
        """
        SELECT c.id AS subject, c.status, c.cost_micros FROM calls c
         WHERE c.cost_micros <> (SELECT coalesce(sum(l.amount_micros), 0) FROM ledger_entries l
                                   JOIN budgets b ON b.id = l.budget_id AND b.definition_id IS NULL
                                                 AND b.scope_id = c.run_id
                                  WHERE l.run_id = c.run_id AND l.call_id = c.id)
            OR c.status <> 'prepared' AND EXISTS (SELECT 1 FROM reservations v
                                                   WHERE v.call_id = c.id AND v.status = 'held')
        """,
    ),
    Invariant(
        "call-decided",
        "No call left without a decision that allowed it or an approval that was used for it; nor again against the "
        "last that was decided on it.",
        """
        SELECT c.id AS subject, c.status, NULL AS decided FROM calls c
         WHERE c.attempt > 0 AND (c.prepared_at IS NOT NULL OR c.status IN ('prepared', 'done', 'unknown'))
           AND NOT EXISTS (SELECT 1 FROM policy_decisions d WHERE d.id = c.decision_id AND d.subject_id = c.id
                              AND d.outcome = 'allow' AND d.request_hash = c.request_hash)
           AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.run_id = c.run_id AND a.subject_id = c.id
                              AND a.status = 'consumed' AND a.request_hash = c.request_hash)
        UNION ALL
        SELECT c.id, c.status, d.outcome
          FROM (SELECT DISTINCT ON (run_id, subject_id) id, run_id, subject_id, outcome, at FROM policy_decisions
                 WHERE subject_kind = 'call' ORDER BY run_id, subject_id, id DESC) d
          JOIN calls c ON c.run_id = d.run_id AND c.id = d.subject_id
         WHERE c.attempt > 0 AND c.prepared_at IS NOT NULL AND (
           d.outcome = 'deny' AND c.status IN ('prepared', 'done', 'unknown')
           OR d.outcome = 'require_approval' AND NOT EXISTS (
             SELECT 1 FROM approvals a WHERE a.run_id = c.run_id AND a.subject_id = c.id AND (
               a.status = 'consumed' AND (a.consumed_at <= d.at OR a.decision_id = d.id)
               OR a.decision_id = d.id AND c.status <> 'done')))
        """,
    ),
    Invariant(
        "one-holder",
        "An attempt ends before the next one starts, and only the last attempt of a running step is open.",
        """
        SELECT a.step_id AS subject, a.attempt, a.outcome FROM step_attempts a
          JOIN steps s ON s.id = a.step_id
          LEFT JOIN step_attempts b ON b.run_id = a.run_id AND b.step_id = a.step_id AND b.attempt = a.attempt + 1
         WHERE b.started_at < coalesce(a.ended_at, 'infinity')
            OR (a.ended_at IS NULL) <> (s.status = 'running' AND s.attempt = a.attempt)
        """,
    ),
    Invariant(
        "needs-first",
        "A step that the database may start alone was attempted only after everything that it needs had succeeded.",
        """
        SELECT a.step_id AS subject, n.id AS need, n.status FROM step_attempts a
          JOIN steps s ON s.id = a.step_id AND s.mechanical
          JOIN steps n ON n.id = ANY (s.needs)
         WHERE n.status <> 'succeeded' OR n.finished_at > a.started_at
        """,
    ),
    Invariant(
        "nothing-after-cancel",
        "Once a run was asked to stop, no further call of it was prepared, but for those that take effects back.",
        """
        SELECT c.id AS subject, c.prepared_at, r.cancel_requested_at FROM calls c
          JOIN runs r ON r.id = c.run_id
          JOIN steps s ON s.id = c.step_id
         WHERE c.prepared_at > r.cancel_requested_at AND s.undo_of IS NULL
        """,
    ),
    Invariant(
        "approval-used-once",
        "An approval was used for one call, of exactly the request and the tool that were approved; a call about which "
        "people were asked after it was lost was sent no more without it.",
        """
        SELECT a.id AS subject, count(*) AS uses FROM approvals a
          JOIN calls c ON c.run_id = a.run_id AND c.approval_id = a.id AND c.prepared_at IS NOT NULL
         WHERE a.subject_kind = 'call'
         GROUP BY a.id
        HAVING count(*) > 1 OR bool_or(
                 c.id <> a.subject_id OR c.request_hash <> a.request_hash
                 OR c.prepared_at >= a.requested_at AND (
                   c.tool_hash IS DISTINCT FROM a.tool_hash OR a.status <> 'consumed')
                 OR c.prepared_at < a.requested_at AND a.status <> 'consumed' AND EXISTS (
                   SELECT 1 FROM reservations v WHERE v.call_id = c.id AND v.held_at > a.requested_at))
        UNION ALL
        SELECT a.id, 0 FROM approvals a WHERE a.subject_kind = 'call' AND a.status = 'consumed'
           AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.run_id = a.run_id AND c.id = a.subject_id
                              AND (c.approval_id = a.id OR c.approval_id IN (
                                SELECT n.id FROM approvals n WHERE n.subject_id = c.id
                                   AND n.requested_at > a.consumed_at)))
        """,
    ),
    Invariant(
        "consent-enough",
        "As many people as it takes agreed to exactly what was approved, and nobody refused it.",
        """
        SELECT a.id AS subject, v.agreed, v.refused FROM approvals a
          LEFT JOIN (SELECT v.approval_id, count(*) FILTER (WHERE v.vote = 'reject') AS refused,
                            count(DISTINCT v.user_id) FILTER (
                              WHERE v.vote = 'approve' AND v.request_hash = coalesce(b.edited_hash, b.request_hash)
                                AND v.user_id IS DISTINCT FROM b.requested_by
                                AND NOT EXISTS (SELECT 1 FROM runs r JOIN api_keys k ON k.id = r.created_by_key
                                                 WHERE r.id = b.run_id AND k.created_by = v.user_id)) AS agreed
                       FROM approval_votes v JOIN approvals b ON b.id = v.approval_id GROUP BY v.approval_id) v
            ON v.approval_id = a.id
         WHERE a.status IN ('approved', 'consumed')
           AND (coalesce(v.agreed, 0) < (a.demands ->> 'quorum')::int OR v.refused > 0)
        """,
    ),
    Invariant(
        "question-open",
        "A question is open only while the step that asks it is, or the run that is asked about waits for it.",
        """
        SELECT a.id AS subject, a.status, s.status AS step FROM approvals a JOIN steps s ON s.id = a.step_id
         WHERE a.status IN ('pending', 'approved') AND s.finished_at IS NOT NULL
        UNION ALL
        SELECT a.id, a.status, r.status FROM approvals a JOIN runs r ON r.id = a.run_id
         WHERE a.status IN ('pending', 'approved') AND a.step_id IS NULL AND (
           r.status <> 'awaiting_approval' OR (a.subject_kind = 'run') <> (r.started_at IS NULL))
        """,
    ),
    Invariant(
        "run-cleared",
        "A run about which people were asked went on with their answer, or because the rules did not ask any more; one "
        "that waits for them is asked about, or advanced within 10 s.",
        """
        SELECT r.id AS subject, r.status, a.subject_kind, a.status AS answer FROM runs r CROSS JOIN LATERAL (
          SELECT DISTINCT ON (subject_kind) subject_kind, status FROM approvals
           WHERE subject_id = r.id AND step_id IS NULL ORDER BY subject_kind, id DESC) a
         WHERE a.status NOT IN ('consumed', 'withdrawn')
           AND (a.subject_kind = 'run' AND r.started_at IS NOT NULL
                OR a.subject_kind = 'output' AND r.status = 'succeeded')
        UNION ALL
        SELECT r.id, r.status, NULL, NULL FROM runs r
         WHERE r.status = 'awaiting_approval'
           AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.subject_id = r.id AND a.status = 'pending')
           AND clock_timestamp() - interval '10 seconds' > (SELECT max(e.at) FROM events e WHERE e.run_id = r.id)
        UNION ALL
        SELECT s.run_id, s.status, NULL, NULL FROM steps s JOIN runs r ON r.id = s.run_id
         WHERE r.status = 'awaiting_approval' AND r.started_at IS NULL AND s.copied_from IS NULL
           AND (s.status <> 'pending' OR s.attempt > 0)
        """,
    ),
    Invariant(
        "wakes",
        "A step does not wait for what has been there for 10 s.",
        """
        SELECT s.id AS subject, s.waiting_for, s.wake_at FROM steps s
         WHERE s.status = 'waiting' AND s.wake_at < clock_timestamp() - interval '10 seconds'
        UNION ALL
        SELECT s.id, s.waiting_for, r.finished_at FROM steps s JOIN runs r ON r.id = s.child_run_id
         WHERE s.status = 'waiting' AND s.waiting_for ->> 'kind' = 'run'
           AND r.finished_at < clock_timestamp() - interval '10 seconds'
        UNION ALL
        SELECT s.id, s.waiting_for, f.last FROM steps s CROSS JOIN LATERAL (
          SELECT max(finished_at) AS last FROM frames WHERE parent_id = s.id) f
         WHERE s.status = 'waiting' AND s.waiting_for ->> 'kind' = 'frames' AND engine.frames_ended(s.id)
           AND coalesce(f.last, '-infinity') < clock_timestamp() - interval '10 seconds'
        UNION ALL
        SELECT s.id, s.waiting_for, b.last FROM steps s CROSS JOIN LATERAL (
          SELECT max(greatest(b.changed_at, d.updated_at)) AS last FROM budgets b
            JOIN budget_definitions d ON d.id = b.definition_id
           WHERE b.id IN (SELECT i::uuid FROM jsonb_array_elements_text(s.waiting_for -> 'budgets') i)) b
         WHERE s.status = 'waiting' AND s.waiting_for ->> 'kind' = 'budget' AND NOT engine.budget_blocks(s.waiting_for)
           AND greatest(b.last, s.wake_at, s.not_before) < clock_timestamp() - interval '10 seconds'
        """,
    ),
    Invariant(
        "event-matched",
        "An event is shown within 10 s to the steps that wait for its name.",
        """
        SELECT e.id AS subject, e.name, e.received_at FROM received_events e
         WHERE e.matched_at IS NULL AND e.received_at < clock_timestamp() - interval '10 seconds'
           AND EXISTS (SELECT 1 FROM steps s WHERE s.project_id = e.project_id AND s.status = 'waiting'
                          AND s.waiting_for ->> 'kind' = 'event' AND s.waiting_for ->> 'event' = e.name)
        """,
    ),
    Invariant(
        "frames-counted",
        "The counters of a map or loop say how many frames it has, and how many have started, ended and failed.",
        """
        SELECT e.step_id AS subject, e.expanded, e.started, e.ended, e.failed, f.* FROM expansions e
          JOIN steps s ON s.id = e.step_id
          CROSS JOIN LATERAL (
            SELECT count(*) AS frames, count(*) FILTER (WHERE status = 'open') AS open,
                   count(*) FILTER (WHERE status IN ('succeeded', 'failed')) AS done,
                   count(*) FILTER (WHERE status = 'failed') AS broken
              FROM frames WHERE parent_id = e.step_id) f
         WHERE e.expanded <> f.frames OR e.ended <> f.done OR e.failed <> f.broken
            OR s.finished_at IS NULL AND (e.started <> e.ended + f.open
                                          OR e.started - e.ended > e.concurrency)
        """,
    ),
    Invariant(
        "frames-ended",
        "A frame that has ended has no open step, and soon after a map or loop has ended none of its frames is open.",
        """
        SELECT f.parent_id AS subject, f.frame_no, f.status, p.status AS step FROM frames f
          JOIN steps p ON p.id = f.parent_id
         WHERE f.finished_at IS NULL AND p.finished_at < clock_timestamp() - interval '10 seconds'
            OR f.status IN ('succeeded', 'failed') AND EXISTS (
                 SELECT 1 FROM steps s WHERE s.parent_id = f.parent_id AND s.frame_no = f.frame_no
                    AND s.finished_at IS NULL)
        """,
    ),
    Invariant(
        "frame-of-step",
        "A step of a body stands in a frame of a map or loop of the same run, under its path.",
        """
        SELECT s.id AS subject, s.path, p.path AS parent, s.frame_no FROM steps s
          LEFT JOIN steps p ON p.id = s.parent_id AND p.run_id = s.run_id AND p.type IN ('map', 'loop')
          LEFT JOIN frames f ON f.parent_id = s.parent_id AND f.frame_no = s.frame_no
         WHERE s.parent_id IS NOT NULL AND (
           f.parent_id IS NULL OR s.path IS DISTINCT FROM p.path
             || CASE p.type WHEN 'map' THEN '[' || s.frame_no || '].' ELSE '#' || s.frame_no || '.' END || s.node_key)
        """,
    ),
    Invariant(
        "undone-last",
        "What takes an effect back belongs to a step that had succeeded, and runs only while its run compensates.",
        """
        SELECT u.id AS subject, u.status, s.status AS of, r.status AS run FROM steps u
          JOIN runs r ON r.id = u.run_id
          LEFT JOIN steps s ON s.id = u.undo_of AND s.run_id = u.run_id
         WHERE u.undo_of IS NOT NULL
           AND (s.status IS DISTINCT FROM 'succeeded' OR r.ends_as IS NULL
                OR u.finished_at IS NULL AND r.status NOT IN ('compensating', 'cancelling'))
        """,
    ),
    Invariant(
        "followed-up",
        "A run is advanced within 10 s after a step of it was ended by somebody who does not hold the run.",
        """
        SELECT run_id AS subject, since FROM unadvanced WHERE since < clock_timestamp() - interval '10 seconds'
        """,
    ),
    Invariant(
        "lineage",
        "The run of a sub-workflow stands below exactly the run whose step started it, in the same project.",
        """
        SELECT c.id AS subject, c.lineage, s.child_run_id FROM runs c
          LEFT JOIN runs p ON p.id = c.parent_run_id
          LEFT JOIN steps s ON s.id = c.parent_step_id
         WHERE c.parent_run_id IS NOT NULL
           AND (c.lineage IS DISTINCT FROM p.lineage || p.id OR s.run_id IS DISTINCT FROM p.id
                OR c.finished_at IS NULL AND s.child_run_id IS DISTINCT FROM c.id
                OR c.project_id IS DISTINCT FROM p.project_id)
            OR c.parent_run_id IS NULL AND (c.lineage <> '{}' OR c.parent_step_id IS NOT NULL)
        """,
    ),
    Invariant(
        "held-while-paused",
        "The open steps of a run are held while it is queued or paused, and no others.",
        """
        SELECT s.id AS subject, s.status, s.held, r.status AS run FROM steps s JOIN runs r ON r.id = s.run_id
         WHERE s.finished_at IS NULL AND s.held <> (r.status IN ('queued', 'paused', 'awaiting_approval'))
        """,
    ),
    Invariant(
        "nothing-while-stopped",
        "No call was prepared while a stop was in force for its project or the installation.",
        """
        SELECT c.id AS subject, c.prepared_at, h.id AS halt, h.created_at, h.released_at
          FROM halts h JOIN calls c ON h.scope = 'installation' OR h.project_id = c.project_id
         WHERE h.kind = 'stop' AND c.prepared_at > h.created_at
           AND c.prepared_at < coalesce(h.released_at, 'infinity')
        """,
    ),
    Invariant(
        "queue-moves",
        "No run queues for more than 10 s while there is room for it.",
        """
        SELECT r.id AS subject, r.created_at FROM (
            SELECT DISTINCT q.project_id FROM runs q WHERE q.status = 'queued') p
          CROSS JOIN LATERAL unnest(engine.admissible(p.project_id, 100)) AS a (run_id)
          JOIN runs r ON r.id = a.run_id
         WHERE clock_timestamp() - interval '10 seconds' > greatest(
           (SELECT max(e.at) FROM events e WHERE e.run_id = r.id),
           (SELECT max(o.finished_at) FROM runs o WHERE o.project_id = r.project_id),
           (SELECT max(u.at) FROM audit u WHERE u.project_id = r.project_id),
           (SELECT max(greatest(d.updated_at, w.starts_at)) FROM budget_definitions d
             CROSS JOIN LATERAL engine.budget_window(d.period, d.time_zone, NULL) w
             WHERE r.uncounted AND d.limit_runs > -1 AND coalesce(d.project_id, r.project_id) = r.project_id))
        """,
    ),
    Invariant(
        "log-whole",
        "The log of a run has no gap, begins behind what retention has removed, and ends where its counter stands.",
        """
        SELECT c.run_id AS subject, c.last_seq, t.log_removed_to, count(e.seq) AS lines FROM run_counters c
          LEFT JOIN thinned_runs t ON t.run_id = c.run_id
          LEFT JOIN events e ON e.run_id = c.run_id
         GROUP BY c.run_id, t.log_removed_to
        HAVING count(e.seq) <> c.last_seq - coalesce(t.log_removed_to, 0)
            OR coalesce(max(e.seq), t.log_removed_to, 0) <> c.last_seq
        """,
    ),
    Invariant(
        "audit-true",
        "The hash of a line of the audit trail is that of what it says. Whether it is what was said, only "
        "`sparkops audit verify` can tell.",
        "SELECT a.id AS subject, a.action, a.object FROM audit a WHERE a.content_hash <> engine.audit_hash(a)",
    ),
    Invariant(
        "audit-whole",
        "A line of the audit trail waits to be sealed or is in exactly one seal, and what was sealed is there.",
        """
        SELECT l.id AS subject, count(*) FILTER (WHERE l.place = 'line') AS lines,
               count(*) FILTER (WHERE l.place = 'list') AS waits, count(*) FILTER (WHERE l.place = 'seal') AS seals
          FROM (SELECT id, 'line' AS place FROM audit
                UNION ALL SELECT audit_id, 'list' FROM audit_unsealed
                UNION ALL SELECT unnest(ids), 'seal' FROM audit_seals) l
         GROUP BY l.id HAVING count(*) <> 2 OR count(*) FILTER (WHERE l.place = 'line') <> 1
        """,
    ),
    Invariant(
        "audit-chained",
        "Each seal of the audit trail follows the one before it, and counts the lines that were sealed so far.",
        """
        SELECT s.number AS subject, s.at FROM (
          SELECT number, at, previous, lines, cardinality(ids) AS own, lag(number, 1, 0::bigint) OVER w AS before,
                 lag(mac, 1, repeat('0', 64)) OVER w AS mac, lag(lines, 1, 0::bigint) OVER w AS sealed
            FROM audit_seals WINDOW w AS (ORDER BY number)) s
         WHERE s.number <> s.before + 1 OR s.previous <> s.mac OR s.lines <> s.sealed + s.own
        """,
    ),
    *HOLDERS,
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule and the rows that break it."""

    invariant: Invariant
    rows: Sequence[dict[str, Any]]


async def audit(on: Connection) -> list[Violation]:
    """Ask every query and return what is broken; nothing, if all is well."""
    found = []
    for invariant in INVARIANTS:
        rows = [dict(row) for row in await on.fetch(invariant.query)]
        if rows:
            found.append(Violation(invariant, rows))
    return found
