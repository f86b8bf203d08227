"""Every guard of the transactions, and how it is taken out: a textual change of one function or of several.

A guard is a condition without which something would go wrong that a test can see. Taking one out must make a test
fail; `python -m tests.mutation` tries them all. A refactored function that no longer has the text breaks the table
loudly (`test_guards.py`), and then needs its guards listed anew.

What is not here, because taking it out changes nothing that can be seen: the attempt number and the status beside the
random token (the token alone decides, and a CHECK ties it to the status), and locks that only keep an order of locks.
"""

# ruff: noqa: E501 -- the texts are those of the functions, as they stand there

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparkops.migrations.functions import sources

EDITS = Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Guard:
    """`edits`: function, text that stands there exactly once, what replaces it. `tests`: where to look first."""

    name: str
    tests: str
    edits: EDITS

    def mutate(self) -> Mapping[str, str]:
        """Return the changed functions by name.

        Raises:
            ValueError: the text does not stand there exactly once.
        """
        texts = sources()
        changed: dict[str, str] = {}
        for function, old, new in self.edits:
            text = changed.get(function, texts[f"{function}.sql"])
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: {function} has {text.count(old)} times {old!r}")
            changed[function] = text.replace(old, new)
        return changed


def _guard(name: str, tests: str, *edits: tuple[str, str, str]) -> Guard:
    return Guard(name, tests, edits)


GUARDS: Sequence[Guard] = (
    # The lease, which every write of a worker names
    _guard(
        "hold_lease: token and attempt",
        "claim",
        (
            "hold_lease",
            "s.id = p_step AND s.attempt = p_attempt AND s.claim_token = p_token AND ",
            "s.id = p_step AND ",
        ),
    ),
    _guard("hold_lease: the row is locked", "cancel", ("hold_lease", "\n    FOR UPDATE;", ";")),
    _guard(
        "heartbeat: token and attempt",
        "claim",
        (
            "heartbeat",
            "SELECT s.id FROM steps s JOIN held h ON s.id = h.id AND s.attempt = h.attempt AND s.claim_token = h.token",
            "SELECT s.id FROM steps s JOIN held h ON s.id = h.id",
        ),
        (
            "heartbeat",
            "    FROM steps s JOIN held h ON s.id = h.id AND s.attempt = h.attempt AND s.claim_token = h.token",
            "    FROM steps s JOIN held h ON s.id = h.id",
        ),
    ),
    # What was run ahead
    _guard(
        "close_ahead: the lock of the kill switch",
        "ahead",
        (
            "close_ahead",
            "PERFORM pg_advisory_xact_lock_shared(hashtextextended('stop/' || scope, 0))",
            "PERFORM hashtextextended('stop/' || scope, 0)",
        ),
    ),
    _guard("close_ahead: halts of the project", "ahead", ("close_ahead", " AND h.project_id <> ALL (v_halted)", "")),
    _guard(
        "close_ahead: halts of the installation",
        "ahead",
        (
            "close_ahead",
            "IF '00000000-0000-0000-0000-000000000000' = ANY (v_halted) THEN",
            "IF false THEN",
        ),
    ),
    _guard("close_ahead: only what has ended well", "ahead", ("close_ahead", "h.id = ANY (p_heads) AND ", "")),
    _guard(
        "close_ahead: the run goes on, and its steps are not held",
        "ahead",
        ("close_ahead", " AND r.status = 'running'", ""),
        ("close_ahead", " AND NOT s.held", ""),
    ),
    _guard("close_ahead: its steps wait", "ahead", ("close_ahead", "s.status = 'pending' AND ", "")),
    _guard("close_ahead: not held", "ahead", ("close_ahead", " AND NOT s.held", "")),
    _guard("close_ahead: not asked to stop", "ahead", ("close_ahead", " AND NOT s.cancel_requested", "")),
    _guard("close_ahead: nothing to evaluate", "ahead", ("close_ahead", " AND s.mechanical", "")),
    _guard("close_ahead: hands over", "ahead", ("close_ahead", " AND s.hands_over", "")),
    _guard(
        "close_ahead: needs only the one before",
        "ahead",
        (
            "close_ahead",
            "AND s.needs = ARRAY[lag(s.id, 1, item.head) OVER through]",
            "AND lag(s.id, 1, item.head) OVER through IS NOT NULL",
        ),
    ),
    _guard("close_ahead: whole or not at all", "ahead", ("close_ahead", "bool_and(as_claimed)", "bool_or(as_claimed)")),
    # Frames that end without an expression
    _guard("end_frames: the map goes on", "plain_frames", ("end_frames", "IF NOT v_map.wanted THEN", "IF false THEN")),
    _guard(
        "end_frames: a run whose map has ended is looked at",
        "plain_frames",
        ("end_frames", "v_left := v_left || v_map.run_id;\n      CONTINUE;", "CONTINUE;"),
    ),
    _guard("end_frames: first steps alone", "plain_frames", ("end_frames", " AND s.needs = '{}'", "")),
    _guard(
        "end_frames: the frames that were opened",
        "plain_frames",
        (
            "end_frames",
            "AND s.frame_no = ANY (ARRAY(SELECT f::bigint FROM jsonb_array_elements_text(v_opened -> 'frames') f))",
            "",
        ),
    ),
    _guard(
        "end_frames: more than fits is started after it",
        "plain_frames",
        ("end_frames", "IF (v_opened ->> 'more')::boolean THEN", "IF false THEN"),
    ),
    _guard("heartbeat: never waits", "claim", ("heartbeat", "FOR UPDATE OF s SKIP LOCKED", "FOR UPDATE OF s")),
    _guard(
        "complete: token and attempt",
        "claim",
        (
            "complete",
            "s.id = i.step_id AND s.attempt = i.attempt AND s.claim_token = i.token AND s",
            "s.id = i.step_id AND s",
        ),
    ),
    _guard("complete: not asked to stop", "cancel", ("complete", "NOT s.cancel_requested AND ", "")),
    _guard("complete: judged under the rules of today", "gate", ("complete", " AND s.id <> ALL (v_stale)", "")),
    _guard(
        "complete: the runs are locked",
        "direct",
        ("complete", "PERFORM 1 FROM runs WHERE id = ANY (p_runs) ORDER BY id FOR UPDATE;", ""),
    ),
    _guard(
        "close_steps: token and attempt",
        "claim",
        (
            "close_steps",
            "JOIN item i ON s.id = i.step_id AND s.attempt = i.attempt AND s.claim_token = i.token\n",
            "JOIN item i ON s.id = i.step_id\n",
        ),
    ),
    _guard(
        "close_steps: results only of who holds the step",
        "direct",
        (
            "close_steps",
            "\n        AND s.claim_token = (v_item ->> 'token')::uuid AND s.status = 'running' FOR UPDATE;",
            " FOR UPDATE;",
        ),
        (
            "close_steps",
            "(v_item ->> 'step_id')::uuid AND s.attempt = (v_item ->> 'attempt')::bigint",
            "(v_item ->> 'step_id')::uuid",
        ),
    ),
    _guard(
        "close_steps: asked to stop",
        "cancel",
        (
            "close_steps",
            "WHEN s.cancel_requested AND i.status <> 'succeeded' THEN 'cancelled'\n                WHEN i.status = 'ready'",
            "WHEN i.status = 'ready'",
        ),
    ),
    _guard(
        "close_steps: an effect of unknown outcome",
        "cancel",
        ("close_steps", "k.status IN ('prepared', 'unknown') AND k.effect_class = 'unsafe') THEN", "false) THEN"),
    ),
    # Claims
    _guard("claim: epoch", "direct", ("claim", "p_epoch IS DISTINCT FROM (SELECT epoch FROM system)", "false")),
    _guard(
        "claim: not before its time",
        "claim",
        ("claim", "           AND s.not_before <= clock_timestamp() AND NOT s.isolate", "           AND NOT s.isolate"),
        ("take", "\n       AND s.not_before <= clock_timestamp()", ""),
    ),
    _guard("claim: what is to run alone is left", "claim", ("claim", " AND NOT s.isolate", "")),
    _guard(
        "claim_isolated: what must be alone one at a time",
        "claim",
        ("claim_isolated", "CASE WHEN v_alone THEN 1 ELSE p_limit END", "p_limit"),
    ),
    _guard(
        "claim_isolated: what must be alone only by an empty process",
        "claim",
        ("claim_isolated", " OR v_alone AND NOT p_empty", ""),
    ),
    _guard(
        "claim_isolated: one kind at a time",
        "claim",
        ("claim_isolated", "FROM line l, turn t WHERE t.place IS NULL OR l.place < t.place", "FROM line l"),
    ),
    _guard("claim_isolated: only what is isolated", "claim", ("claim_isolated", " AND s.isolate", "")),
    _guard(
        "claim_isolated: epoch",
        "direct",
        ("claim_isolated", "p_epoch IS DISTINCT FROM (SELECT epoch FROM system)", "false"),
    ),
    _guard(
        "claim: projects in turn",
        "fairness",
        ("claim", "(ORDER BY turn, priority, not_before, id)", "(ORDER BY priority, not_before, id)"),
    ),
    _guard(
        "claim: priorities",
        "fairness",
        ("claim", "(ORDER BY turn, priority, not_before, id)", "(ORDER BY turn, not_before, id)"),
        ("claim", "ORDER BY h.priority, h.not_before, h.id", "ORDER BY h.not_before, h.id"),
        ("claim", "ORDER BY s.priority, s.not_before, s.id LIMIT", "ORDER BY s.not_before, s.id LIMIT"),
    ),
    _guard(
        "claim: projects that hold their share", "fairness", ("claim", "engine.halted() || p_full", "engine.halted()")
    ),
    _guard(
        "claim and take: what is halted",
        "halts",
        ("claim", "engine.halted() || p_full", "p_full"),
        ("take", "v_halted uuid[] := engine.halted();", "v_halted uuid[] := '{}';"),
    ),
    _guard("take: only what is ready", "direct", ("take", " AND s.status = 'ready'", "")),
    _guard("take: what is held back", "direct", ("take", " AND NOT s.held", "")),
    _guard("take: never waits", "claim", ("take", "\n     FOR UPDATE SKIP LOCKED", "\n     FOR UPDATE")),
    _guard(
        "take: a fresh token", "claim", ("take", "claim_token = gen_random_uuid()", "claim_token = coalesce(s.run_id)")
    ),
    _guard("take: no more than asked for", "claim", ("take", " LIMIT p_limit", "")),
    # What is given back
    _guard(
        "give_back: the lease has run out",
        "recovery",
        ("give_back", "THEN s.lease_expires_at < clock_timestamp() OR", "THEN true OR"),
        ("give_back_each", "THEN s.lease_expires_at < clock_timestamp() OR", "THEN true OR"),
    ),
    _guard("give_back: or its time is up", "recovery", ("give_back", " OR s.step_deadline_at < clock_timestamp()", "")),
    _guard(
        "give_back: only of this session",
        "recovery",
        (
            "give_back",
            "ELSE s.worker_session IN (\n                  SELECT p_session UNION ALL\n                  SELECT w.id FROM worker_sessions w WHERE w.parent_id = p_session AND w.ended_at IS NULL) END",
            "ELSE true END",
        ),
        (
            "give_back_each",
            "ELSE s.worker_session IN (\n                    SELECT p_session UNION ALL\n                    SELECT w.id FROM worker_sessions w WHERE w.parent_id = p_session AND w.ended_at IS NULL) END",
            "ELSE true END",
        ),
    ),
    _guard(
        "give_back: of the processes that it had started",
        "recovery",
        (
            "give_back",
            "ELSE s.worker_session IN (\n                  SELECT p_session UNION ALL\n                  SELECT w.id FROM worker_sessions w WHERE w.parent_id = p_session AND w.ended_at IS NULL) END",
            "ELSE s.worker_session = p_session END",
        ),
    ),
    _guard(
        "give_back: only what runs",
        "direct",
        (
            "give_back",
            "s.status = 'running' AND (p_run IS NULL OR s.run_id = p_run)\n       AND CASE",
            "(p_run IS NULL OR s.run_id = p_run)\n       AND CASE",
        ),
    ),
    _guard(
        "give_back: never waits",
        "direct",
        ("give_back", "LIMIT p_limit FOR UPDATE SKIP LOCKED", "LIMIT p_limit FOR UPDATE"),
    ),
    _guard(
        "give_back: an effect of unknown outcome",
        "gate",
        ("give_back", "AND c.status IN ('prepared', 'unknown') AND c.effect_class = 'unsafe'", "AND false"),
    ),
    _guard(
        "give_back: asked to stop", "cancel", ("give_back", "ELSIF v_step.cancel_requested THEN", "ELSIF false THEN")
    ),
    _guard(
        "pause_after_timeout: attempts are used up",
        "recovery",
        (
            "pause_after_timeout",
            "p_step.failures + 1 >= p_step.max_attempts OR NOT p_step.retries_timeouts",
            "NOT p_step.retries_timeouts",
        ),
    ),
    _guard(
        "pause_after_timeout: a policy without timeouts",
        "recovery",
        ("pause_after_timeout", " OR NOT p_step.retries_timeouts", ""),
    ),
    _guard(
        "pause_after_timeout: not after the deadline",
        "deadline",
        ("pause_after_timeout", "\n     OR coalesce(clock_timestamp() + v_pause >= p_step.fails_at, false)", ""),
    ),
    _guard(
        "give_back: only a step that was alone is poison",
        "direct",
        (
            "give_back",
            "ELSIF v_crashed AND engine.alone(v_step) AND v_step.crashes",
            "ELSIF v_crashed AND v_step.crashes",
        ),
    ),
    _guard(
        "alone: not in company",
        "direct",
        ("alone", "p_step.isolate AND p_step.crashes >= 3", "p_step.isolate"),
    ),
    _guard(
        "give_back: crashes are used up", "recovery", ("give_back", " AND v_step.crashes + 1 >= v_step.max_crashes", "")
    ),
    _guard(
        "give_back: a peaceful end is no crash",
        "recovery",
        ("give_back", "v_crashed := p_crashed AND NOT v_late", "v_crashed := NOT v_late"),
    ),
    _guard(
        "give_back: too late is no crash",
        "recovery",
        ("give_back", "v_crashed := p_crashed AND NOT v_late", "v_crashed := p_crashed"),
    ),
    _guard(
        "give_back: the death of a parent is no crash",
        "recovery",
        ("give_back", " AND (p_session IS NULL OR v_step.worker_session = p_session);", ";"),
    ),
    _guard(
        "give_back: a second death isolates",
        "recovery",
        ("give_back", "isolate = isolate OR v_crashed AND crashes >= 1", "isolate = isolate"),
    ),
    _guard(
        "give_back: a first death does not",
        "recovery",
        ("give_back", "isolate = isolate OR v_crashed AND crashes >= 1", "isolate = isolate OR v_crashed"),
    ),
    _guard(
        "give_back_each: a run that stands still is passed over",
        "recovery",
        (
            "give_back_each",
            "    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN\n      NULL;  -- what this run had changed is undone\n",
            "",
        ),
    ),
    _guard(
        "abandon_calls: an uncertain step keeps what may be repeated",
        "gate",
        (
            "abandon_calls",
            "AND (p_step.status <> 'uncertain' OR status = 'prepared' AND effect_class = 'unsafe')",
            "",
        ),
    ),
    _guard(
        "abandon_calls: an uncertain step keeps its questions",
        "direct",
        ("abandon_calls", "IF p_step.status <> 'uncertain' THEN", "IF true THEN"),
    ),
    # Advancing
    _guard("apply: only what is pending", "direct", ("apply", " AND s.status = 'pending'", "")),
    _guard("apply: a run that has ended", "direct", ("apply", "r.finished_at IS NULL AND ", "")),
    _guard("apply: a run that stands there already", "direct", ("apply", " AND r.status <> c.target", "")),
    _guard("hand_over: only what is pending", "direct", ("hand_over", " AND s.status = 'pending'", "")),
    _guard("hand_over: only what needs no expression", "direct", ("hand_over", " AND s.mechanical", "")),
    _guard(
        "hand_over: everything needed has succeeded",
        "advance",
        ("hand_over", "n.id = ANY (s.needs) AND n.status <> 'succeeded'", "false"),
    ),
    _guard(
        "end_runs: no step is open",
        "cancel",
        ("end_runs", "s.status IN ('pending', 'ready', 'running', 'waiting', 'uncertain')", "false"),
    ),
    _guard("end_runs: a run that may end", "direct", ("end_runs", " AND r.status IN ('running', 'cancelling')", "")),
    _guard("end_runs: a failed step", "advance", ("end_runs", "WHEN f.key IS NOT NULL THEN 'failed' ELSE", "ELSE")),
    _guard(
        "end_runs: effects to take back",
        "direct",
        ("end_runs", "\n       AND NOT (r.has_undo AND (r.status = 'cancelling' OR f.key IS NOT NULL))", ""),
    ),
    # People
    _guard("accept: the same request", "accept", ("accept", "v_other.idem_hash = v_run.idem_hash", "true")),
    _guard("accept: the same key", "accept", ("accept", "\n  ON CONFLICT (project_id, idem_key) DO NOTHING", "")),
    _guard(
        "answer: a member",
        "consent",
        ("answer", "JOIN memberships m ON m.project_id = a.project_id AND m.user_id = v_user ", ""),
    ),
    _guard("answer: an open question", "wait", ("answer", "v_approval.status <> 'pending' OR ", "")),
    _guard("answer: in time", "wait", ("answer", " OR v_approval.expires_at <= clock_timestamp()", "")),
    _guard(
        "answer: not who asked", "wait", ("answer", "ELSIF v_approval.requested_by = v_user THEN", "ELSIF false THEN")
    ),
    _guard(
        "answer: an approver",
        "consent",
        ("answer", "ELSIF engine.speaks_for(v_approval, v_user) IS NULL THEN", "ELSIF false THEN"),
    ),
    _guard(
        "answer: what they were shown",
        "consent",
        (
            "answer",
            "ELSIF v_approves AND coalesce(p ->> 'request_hash', v_approval.request_hash) <> v_asked THEN",
            "ELSIF false THEN",
        ),
    ),
    _guard(
        "answer: the rules allow a change",
        "consent",
        ("answer", "(v_approval.demands -> 'may_edit')::boolean AND ", ""),
    ),
    _guard("answer: a tool is changed", "consent", ("answer", " AND v_approval.tool_hash IS NOT NULL)", ")")),
    _guard(
        "answer: the tool that was asked about",
        "consent",
        ("answer", "ELSIF v_edit ->> 'tool_hash' <> v_approval.tool_hash THEN", "ELSIF false THEN"),
    ),
    _guard("answer: said before", "consent", ("answer", "IF NOT FOUND AND NOT v_changed THEN", "IF false THEN")),
    _guard(
        "answer: one no is enough", "consent", ("answer", "CASE WHEN NOT v_approves THEN 'rejected' WHEN", "CASE WHEN")
    ),
    _guard("answer: enough", "consent", ("answer", "WHEN (v_consent -> 'enough')::boolean THEN", "WHEN true THEN")),
    _guard(
        "answer: nothing goes on before it is settled",
        "consent",
        ("answer", "  IF v_status <> 'pending' THEN\n    v_events", "  IF true THEN\n    v_events"),
    ),
    _guard(
        "answer: the run is locked",
        "direct",
        ("answer", "PERFORM 1 FROM runs WHERE id = v_approval.run_id FOR UPDATE;", ""),
    ),
    _guard(
        "answer: looked at again under the lock",
        "wait",
        ("answer", "  SELECT * INTO v_approval FROM approvals WHERE id = v_approval.id FOR UPDATE;\n", ""),
    ),
    _guard("consent: the quorum", "consent", ("consent", "people >= (p_approval.demands ->> 'quorum')::int AND ", "")),
    _guard("consent: each group", "consent", ("consent", " AND cardinality(missing) = 0", "")),
    _guard(
        "consent: to what is asked about now",
        "consent",
        ("consent", "\n       AND v.request_hash = coalesce(p_approval.edited_hash, p_approval.request_hash)", ""),
    ),
    _guard(
        "consent: those who may still answer",
        "consent",
        ("consent", "FROM agreed WHERE groups IS NOT NULL", "FROM agreed"),
    ),
    _guard("speaks_for: not disabled", "consent", ("speaks_for", " AND u.disabled_at IS NULL", "")),
    _guard(
        "speaks_for: of a group",
        "consent",
        (
            "speaks_for",
            "CASE WHEN cardinality(named.groups) > 0 OR p_approval.demands -> 'approvers' = '[]' THEN named.groups END",
            "named.groups",
        ),
    ),
    _guard(
        "speaks_for: others after an escalation only",
        "consent",
        ("speaks_for", "p_approval.escalated_at IS NOT NULL\n             AND ", ""),
    ),
    _guard("escalate: due", "consent", ("escalate_approvals", " AND escalate_at <= clock_timestamp()", "")),
    _guard("escalate: once", "consent", ("escalate_approvals", " AND escalated_at IS NULL", "")),
    _guard("escalate: nobody is waited for", "consent", ("escalate_approvals", " FOR UPDATE SKIP LOCKED", "")),
    _guard(
        "discuss: a member",
        "consent",
        (
            "discuss",
            "\n    JOIN memberships m ON m.project_id = a.project_id AND m.user_id = (p ->> 'user_id')::uuid",
            "",
        ),
    ),
    _guard(
        "discuss: an open question",
        "consent",
        (
            "discuss",
            "ELSIF v_approval.status <> 'pending' OR v_approval.expires_at <= clock_timestamp() THEN",
            "ELSIF false THEN",
        ),
    ),
    _guard(
        "prepare: what an approver has changed",
        "consent",
        ("prepare", "IF v_edits IS NOT NULL THEN", "IF false THEN"),
    ),
    _guard(
        "resume: other demands",
        "consent",
        ("resume", " AND engine.demands(p_again) <> v_approval.demands;", " AND false;"),
    ),
    _guard(
        "resume: the same demands",
        "consent",
        ("resume", " AND engine.demands(p_again) <> v_approval.demands;", ";"),
    ),
    _guard(
        "resume: a yes to exactly this version of the agent",
        "consent",
        (
            "resume",
            "\n          AND v_approval.agent_version_id IS NOT DISTINCT FROM (p_again ->> 'agent_version_id')::uuid",
            "",
        ),
    ),
    _guard("cancel: a run that has ended", "cancel", ("cancel", "v_run.finished_at IS NOT NULL OR ", "")),
    _guard(
        "cancel: twice",
        "cancel",
        (
            "cancel",
            "\n     OR v_run.status = 'cancelling' AND NOT EXISTS (\n          SELECT 1 FROM steps WHERE run_id = p_run AND status = 'uncertain')",
            "",
        ),
    ),
    _guard(
        "cancel: a run that takes its effects back already",
        "dynamic_steps",
        ("cancel", " OR v_run.status = 'compensating'\n", "\n"),
    ),
    _guard(
        "cancel: asked for once",
        "cancel",
        ("cancel", "WHERE id = p_run AND status <> 'cancelling';", "WHERE id = p_run;"),
    ),
    _guard(
        "cancel: what runs is asked to stop",
        "cancel",
        ("cancel", "UPDATE steps SET cancel_requested = true, held = false WHERE id = v_step.id;", "NULL;"),
    ),
    _guard(
        "cancel: what is being prepared is waited for",
        "cancel",
        ("cancel", "AND (parent_id IS NULL OR status <> 'pending') ORDER BY id FOR UPDATE;", "AND false;"),
    ),
    _guard(
        "cancel: questions are withdrawn",
        "cancel",
        (
            "cancel",
            "UPDATE approvals SET status = 'withdrawn' WHERE run_id = p_run AND status IN ('pending', 'approved');",
            "",
        ),
    ),
    _guard(
        "expire: somebody holds the run",
        "wait",
        ("expire_approvals", "FOR UPDATE SKIP LOCKED;\n    CONTINUE WHEN NOT FOUND;", "FOR UPDATE;"),
    ),
    _guard(
        "expire: answered meanwhile",
        "direct",
        ("expire_approvals", "\n    CONTINUE WHEN NOT FOUND;\n    v_events", "\n    v_events"),
    ),
    _guard(
        "expire: due",
        "wait",
        (
            "expire_approvals",
            "IN ('pending', 'approved') AND expires_at <= clock_timestamp()\n                ORDER",
            "IN ('pending', 'approved')\n                ORDER",
        ),
        ("expire_approvals", " AND expires_at <= clock_timestamp();", ";"),
    ),
    _guard("ask: asked to stop", "direct", ("ask", "IF v_step.cancel_requested THEN", "IF false THEN")),
    _guard(
        "ask: the same question",
        "direct",
        ("ask", "ELSIF v_approval.request_hash <> p ->> 'request_hash' THEN", "ELSIF false THEN"),
    ),
    _guard(
        "ask: a yes that has expired is not used",
        "wait",
        (
            "ask",
            "ELSIF v_approval.status = 'approved' AND v_approval.expires_at > clock_timestamp() THEN",
            "ELSIF v_approval.status = 'approved' THEN",
        ),
    ),
    _guard(
        "ask: a yes that has expired is none",
        "wait",
        (
            "ask",
            "WHEN v_approval.status = 'approved' AND v_approval.expires_at <= clock_timestamp() THEN 'expired'\n",
            "",
        ),
    ),
    _guard("wait: asked to stop", "cancel", ("wait", "IF v_step.cancel_requested THEN", "IF false THEN")),
    _guard(
        "wait: answered meanwhile",
        "wait",
        (
            "wait",
            "WHEN 'approval' THEN EXISTS (\n        SELECT 1 FROM approvals WHERE status <> 'pending'\n           AND id IN (SELECT a::uuid FROM jsonb_array_elements_text(v_for -> 'approvals') a))",
            "WHEN 'approval' THEN false",
        ),
    ),
    _guard(
        "wait: the time has come",
        "waiting",
        ("wait", "WHEN 'timer' THEN v_until <= clock_timestamp()", "WHEN 'timer' THEN false"),
    ),
    _guard(
        "wait: the event has come",
        "waiting",
        (
            "wait",
            "engine.event_came(v_step, v_for ->> 'event', (v_for ->> 'after')::timestamptz, v_until)\n          OR ",
            "",
        ),
    ),
    _guard(
        "wait: the sub-workflow has ended",
        "children",
        ("wait", "EXISTS (SELECT 1 FROM runs WHERE id = v_step.child_run_id AND finished_at IS NOT NULL)", "false"),
    ),
    _guard(
        "wait: the frames have ended",
        "frames",
        ("wait", "WHEN 'frames' THEN engine.frames_ended(v_step.id)", "WHEN 'frames' THEN false"),
    ),
    _guard("wake: only what waits", "direct", ("wake", " AND status = 'waiting'", "")),
    # Effects
    _guard("prepare: asked to stop", "cancel", ("prepare", "IF v_step.cancel_requested THEN", "IF false THEN")),
    _guard(
        "prepare: the rules of today",
        "gate",
        ("prepare", "IF v_policy <> (p ->> 'policy_version')::bigint THEN", "IF false THEN"),
    ),
    _guard(
        "prepare: an uncertain call parks the step",
        "gate",
        ("prepare", "IF v_verdicts @? '$[*] ? (@.verdict == \"uncertain\")' THEN", "IF false THEN"),
    ),
    _guard(
        "prepare: what was sent since counts",
        "facts",
        ("prepare", "(p ->> 'sent_before')::bigint <> (", "0 * (p ->> 'sent_before')::bigint <> 0 * ("),
    ),
    _guard(
        "prepare: what counts is locked before it is looked at",
        "facts",
        ("prepare", "PERFORM pg_advisory_xact_lock(hashtextextended('sent/' || v_step.run_id, 0));", ""),
    ),
    _guard("judge_step: asked to stop", "subjects", ("judge_step", "IF v_step.cancel_requested THEN", "IF false THEN")),
    _guard(
        "judge_step: the rules of today",
        "subjects",
        ("judge_step", "ELSIF v_policy <> (p ->> 'policy_version')::bigint THEN", "ELSIF false THEN"),
    ),
    _guard(
        "judge_step: consent that came too late",
        "subjects",
        ("judge_step", "ELSIF v_asked.expires_at <= clock_timestamp() AND", "ELSIF false AND"),
    ),
    _guard(
        "accept: a run is judged by the rules of today",
        "subjects",
        ("accept", "p ? 'decisions' AND engine.policy_stamp(v_run.project_id) <>", "false AND 0 <>"),
    ),
    _guard(
        "refuse_run: the rules of today",
        "subjects",
        ("refuse_run", "engine.policy_stamp((p ->> 'project_id')::uuid) <> (p ->> 'policy_version')::bigint", "false"),
    ),
    _guard("end_runs: outputs are judged", "subjects", ("end_runs", " AND r.id <> ALL (v_judged)", "")),
    _guard(
        "propose: it must fit the budget",
        "budget",
        ("propose", "  IF v_verdict = 'allow' THEN\n    v_held", "  IF false THEN\n    v_held"),
    ),
    _guard(
        "reserve: it must fit the budget",
        "budget",
        (
            "reserve",
            "  IF FOUND THEN\n    RETURN jsonb_build_object(",
            "  IF false THEN\n    RETURN jsonb_build_object(",
        ),
    ),
    _guard(
        "reserve: what is held counts",
        "budget",
        ("budget_over", "b.spent_micros + b.reserved_micros, p_micros", "b.spent_micros, p_micros"),
    ),
    _guard(
        "reserve: the budgets are locked before they are looked at",
        "budget",
        (
            "reserve",
            "PERFORM 1 FROM budgets WHERE id = ANY (v_budgets) ORDER BY id FOR UPDATE;",
            "",
        ),
    ),
    _guard(
        "reserve: the budgets above count",
        "children",
        ("budgets_of", "r.lineage || r.id AS line", "ARRAY[r.id] AS line"),
    ),
    _guard("charge: only what is held", "budget", ("charge", " AND status = 'held' FOR UPDATE", " FOR UPDATE")),
    _guard(
        "record: an unknown outcome parks the step",
        "gate",
        ("record", "IF p -> 'results' @? '$[*] ? (@.status == \"unknown\")' THEN", "IF false THEN"),
    ),
    _guard(
        "record_calls: a call of this step",
        "direct",
        ("record_calls", " AND step_id = p_step.id FOR UPDATE", " FOR UPDATE"),
    ),
    _guard(
        "resume: the same request",
        "gate",
        ("resume", "\n     OR v_call.request_hash <> p_again ->> 'request_hash' THEN", " THEN"),
    ),
    _guard(
        "resume: the same tool",
        "gate",
        ("resume", "v_call.kind <> p_again ->> 'kind' OR v_call.name <> p_again ->> 'name'\n     OR ", ""),
    ),
    _guard(
        "resume: what must not be repeated",
        "gate",
        ("resume", "ELSIF v_call.status = 'prepared' AND v_call.effect_class = 'unsafe' THEN", "ELSIF false THEN"),
    ),
    _guard(
        "resume: what is recorded answers",
        "gate",
        ("resume", "IF v_call.status IN ('done', 'failed', 'denied', 'expired') THEN", "IF false THEN"),
    ),
    _guard(
        "resume: a lost call that the rules now deny",
        "gate",
        ("resume", "IF v_denied IS NULL THEN\n      v_held", "IF true THEN\n      v_denied := NULL;\n      v_held"),
    ),
    _guard(
        "resume: a lost call that does not fit any more",
        "budget",
        (
            "resume",
            "ELSIF v_denied IS NOT NULL OR v_held ->> 'verdict' <> 'held' THEN",
            "ELSIF v_denied IS NOT NULL THEN",
        ),
    ),
    _guard(
        "resume: a question that the rules now deny",
        "gate",
        ("resume", "    IF v_denied IS NOT NULL THEN\n", "    IF false THEN\n"),
    ),
    _guard(
        "resume: a question that is open",
        "gate",
        ("resume", "v_approval.status = 'pending' AND v_approval.expires_at > clock_timestamp() THEN", "false THEN"),
    ),
    _guard(
        "resume: a yes",
        "gate",
        (
            "resume",
            "ELSIF v_approval.status = 'approved' AND v_approval.expires_at > clock_timestamp()\n",
            "ELSIF v_approval.expires_at > clock_timestamp()\n",
        ),
    ),
    _guard(
        "resume: a yes in time",
        "gate",
        (
            "resume",
            "ELSIF v_approval.status = 'approved' AND v_approval.expires_at > clock_timestamp()\n",
            "ELSIF v_approval.status = 'approved'\n",
        ),
    ),
    _guard(
        "resume: a yes to exactly this request",
        "gate",
        ("resume", "\n          AND v_approval.request_hash = p_again ->> 'request_hash'", ""),
    ),
    _guard(
        "resume: a yes to exactly this tool",
        "gate",
        ("resume", "\n          AND v_approval.tool_hash IS NOT DISTINCT FROM p_again ->> 'tool_hash'", ""),
    ),
    _guard(
        "resume: a yes is used once",
        "gate",
        (
            "resume",
            "UPDATE approvals SET status = 'consumed', consumed_at = clock_timestamp() WHERE id = v_approval.id;",
            "",
        ),
    ),
    _guard(
        "resume: what was allowed must fit the budget",
        "budget",
        ("resume", "IF v_held ->> 'verdict' = 'held' THEN\n        UPDATE", "IF true THEN\n        UPDATE"),
    ),
    # Budgets that people define
    _guard(
        "reserve: a call is asked about until somebody consented",
        "budgets",
        ("reserve", "AND NOT (o.action = 'require_approval' AND p_consented)", "AND o.action <> 'require_approval'"),
    ),
    _guard(
        "budgets_of: a window is made under the terms that hold",
        "budgets",
        ("budgets_of", "PERFORM 1 FROM budget_definitions WHERE id = v_window.definition_id FOR SHARE;", ""),
    ),
    _guard(
        "budgets_of: what was given up counts nothing",
        "budgets",
        ("budgets_of", "WHERE d.archived_at IS NULL AND (d.project_id", "WHERE (d.project_id"),
    ),
    _guard(
        "wait: a budget that has room is seen under the step's lock",
        "budgets",
        ("wait", "WHEN 'budget' THEN NOT engine.budget_blocks(v_for)", "WHEN 'budget' THEN false"),
    ),
    _guard(
        "unwoken: a step that waits for a budget is woken by the sweep",
        "budgets",
        ("unwoken", "WHEN 'budget' THEN NOT engine.budget_blocks(s.waiting_for)", "WHEN 'budget' THEN false"),
    ),
    _guard(
        "unwoken: only where there is room",
        "budgets",
        ("unwoken", "WHEN 'budget' THEN NOT engine.budget_blocks(s.waiting_for)", "WHEN 'budget' THEN true"),
    ),
    _guard(
        "resume: a lost call that waits for its budget is not sent",
        "budgets",
        (
            "resume",
            "attempt = CASE v_verdict WHEN 'budget' THEN attempt ELSE p_step.attempt END",
            "attempt = p_step.attempt",
        ),
    ),
    _guard(
        "count_run: the budgets are locked before they are looked at",
        "budgets",
        ("count_run", "PERFORM 1 FROM budgets WHERE id = ANY (v_budgets) ORDER BY id FOR UPDATE;", ""),
    ),
    _guard(
        "count_run: there is room for the run",
        "budgets",
        ("count_run", "  IF FOUND THEN\n    RAISE", "  IF false THEN\n    RAISE"),
    ),
    # Sub-workflows
    _guard(
        "accept: the parent step was asked to stop",
        "children",
        ("accept", "IF v_parent.cancel_requested THEN", "IF false THEN"),
    ),
    _guard(
        "accept: the parent step has its run",
        "children",
        (
            "accept",
            "SELECT * INTO v_other FROM runs WHERE id = v_parent.child_run_id;\n    IF FOUND THEN",
            "IF false THEN",
        ),
    ),
    _guard(
        "accept: one retry at a time",
        "rerun",
        ("accept", "AND status NOT IN ('failed', 'cancelled', 'denied')\n", "AND false\n"),
    ),
    _guard(
        "accept: the source of a retry is locked",
        "rerun",
        ("accept", "PERFORM 1 FROM runs WHERE id = v_run.source_run_id FOR UPDATE;", ""),
    ),
    # What is held back
    _guard(
        "accept: the steps of a run that queues are held",
        "admission",
        ("accept", "v_status = 'queued' AND s.status IN ('pending', 'ready'),", "false,"),
    ),
    _guard(
        "blocked_by: the workflow is paused",
        "admission",
        ("blocked_by", "IF engine.workflow_halted(p_run.workflow_id) THEN", "IF false THEN"),
    ),
    _guard(
        "blocked_by: the limit of the project",
        "admission",
        ("blocked_by", "IF v_going >= v_project THEN", "IF false THEN"),
    ),
    _guard(
        "blocked_by: the limit of the workflow",
        "admission",
        ("blocked_by", "IF v_going >= v_workflow THEN", "IF false THEN"),
    ),
    _guard(
        "blocked_by: the limit of the key",
        "admission",
        ("blocked_by", "IF v_going >= p_run.concurrency_limit THEN", "IF false THEN"),
    ),
    _guard(
        "blocked_by: the runs above do not count",
        "admission",
        ("blocked_by", "r.id <> ALL (p_run.lineage || p_run.id)", "r.id <> p_run.id"),
    ),
    _guard(
        "first_status: the workflow rather rejects",
        "admission",
        ("first_status", "IF p_when_full = 'reject' AND (", "IF false AND ("),
    ),
    _guard(
        "lock_admission: the project",
        "admission",
        (
            "lock_admission",
            "PERFORM pg_advisory_xact_lock(hashtextextended('admission/project/' || p_run.project_id, 0));",
            "NULL;",
        ),
    ),
    _guard(
        "lock_admission: the workflow",
        "admission",
        (
            "lock_admission",
            "PERFORM pg_advisory_xact_lock(hashtextextended('admission/workflow/' || p_run.workflow_id, 0));",
            "NULL;",
        ),
    ),
    _guard(
        "lock_admission: the key",
        "admission",
        (
            "lock_admission",
            "PERFORM pg_advisory_xact_lock(\n      hashtextextended('admission/key/' || p_run.workflow_id || '/' || p_run.concurrency_key, 0));",
            "NULL;",
        ),
    ),
    _guard(
        "admit_run: only what queues", "admission", ("admit_run", "IF v_run.status <> 'queued' THEN", "IF false THEN")
    ),
    _guard(
        "admit_run: only where there is room",
        "admission",
        ("admit_run", "IF v_blocked IS NOT NULL THEN", "IF false THEN"),
    ),
    _guard(
        "pause_run: only what may be paused",
        "pause",
        ("pause_run", "     OR v_run.status NOT IN ('running', 'queued', 'paused')\n", ""),
    ),
    _guard(
        "pause_run: nothing of it is claimed",
        "pause",
        (
            "pause_run",
            "UPDATE steps SET held = true WHERE run_id = p_run AND NOT held\n",
            "UPDATE steps SET held = true WHERE false AND NOT held\n",
        ),
    ),
    _guard(
        "pause_run: what is being claimed is waited for",
        "pause",
        (
            "pause_run",
            "    PERFORM 1 FROM steps WHERE run_id = p_run\n       AND status IN ('pending', 'ready', 'running', 'waiting', 'uncertain') ORDER BY id FOR UPDATE;\n",
            "",
        ),
    ),
    _guard(
        "resume_run: its workflow is paused",
        "halts",
        ("resume_run", "ELSIF engine.workflow_halted(v_run.workflow_id) THEN", "ELSIF false THEN"),
    ),
    _guard(
        "resume_run: a person paused it",
        "halts",
        ("resume_run", " OR p_user IS NULL AND v_run.paused_by IS NOT NULL THEN", " THEN"),
    ),
    _guard(
        "resume_run: only where there is room",
        "admission",
        ("resume_run", "IF engine.blocked_by(v_run) IS NULL THEN", "IF true THEN"),
    ),
    _guard(
        "let_go: the time is given back",
        "pause",
        ("let_go", "deadline_at = deadline_at + (v_now - v_since)", "deadline_at = deadline_at"),
    ),
    _guard("prepare: a stop is in force", "halts", ("prepare", "PERFORM engine.refuse_halted(v_step.project_id);", "")),
    _guard(
        "refuse_halted: a stop waits for what is being prepared",
        "halts",
        (
            "refuse_halted",
            "PERFORM pg_advisory_xact_lock_shared(hashtextextended('stop/00000000-0000-0000-0000-000000000000', 0)),\n          pg_advisory_xact_lock_shared(hashtextextended('stop/' || p_project, 0));",
            "",
        ),
    ),
    _guard(
        "order_halt: what is being prepared is waited for",
        "halts",
        ("order_halt", "IF p ->> 'kind' = 'stop' THEN", "IF false THEN"),
    ),
    _guard(
        "put_back: an effect of unknown outcome",
        "halts",
        ("put_back", "AND c.status IN ('prepared', 'unknown') AND c.effect_class = 'unsafe'", "AND false"),
    ),
    _guard(
        "put_back: asked to stop",
        "halts",
        ("put_back", "CASE WHEN v_step.cancel_requested THEN 'cancelled' ELSE 'ready' END;", "'ready';"),
    ),
    # Maps, loops, waits and events
    _guard(
        "expand: each batch once",
        "frames",
        ("expand", "v_expansion.expanded <> (p ->> 'expanded')::bigint OR v_added = 0", "v_added = 0"),
    ),
    _guard("expand: asked to stop", "frames", ("expand", "IF v_step.cancel_requested THEN", "IF false THEN")),
    _guard(
        "expand: no more steps than a run may have",
        "frames",
        ("expand", " AND step_count + v_rows <= (p ->> 'max_steps')::bigint", ""),
    ),
    _guard(
        "expand: new steps are held with their run",
        "pause",
        ("expand", "v_step.priority, v_step.held, b.inline", "v_step.priority, false, b.inline"),
    ),
    _guard(
        "open_frames: a failure stops the map",
        "frames",
        ("open_frames", " AND NOT (e.stop_on_error AND e.failed > 0)", ""),
    ),
    _guard(
        "open_frames: as many as may go on at once",
        "frames",
        (
            "open_frames",
            "least(v_expansion.concurrency - (v_expansion.started - v_expansion.ended),\n                  v_expansion.expanded - v_expansion.started)",
            "v_expansion.expanded - v_expansion.started",
        ),
    ),
    _guard("close_frames: each frame once", "frames", ("close_frames", " AND f.status = 'open'", "")),
    _guard(
        "close_frames: not before all have ended",
        "frames",
        ("close_frames", "IF NOT engine.frames_ended(p_step) THEN", "IF false THEN"),
    ),
    _guard(
        "close_frames: the step is locked before it is looked at",
        "frames",
        (
            "close_frames",
            "SELECT * INTO v_step FROM steps WHERE id = p_step FOR UPDATE;",
            "SELECT * INTO v_step FROM steps WHERE id = p_step;\n  IF v_step.status <> 'waiting' THEN RETURN '[]'; END IF;",
        ),
    ),
    _guard(
        "wake_due: due",
        "wait",
        (
            "wake_due",
            "WHERE status = 'waiting' AND wake_at <= clock_timestamp()\n                ORDER",
            "WHERE status = 'waiting'\n                ORDER",
        ),
        (
            "wake_due",
            "AND status = 'waiting' AND wake_at <= clock_timestamp() FOR UPDATE",
            "AND status = 'waiting' FOR UPDATE",
        ),
    ),
    _guard(
        "wake_steps: what waits for this",
        "waiting",
        (
            "wake_steps",
            "v_step.status = 'waiting' AND v_step.waiting_for ->> 'kind' = p_kind",
            "v_step.status = 'waiting'",
        ),
    ),
    _guard(
        "receive_event: a member",
        "waiting",
        (
            "receive_event",
            "IF NOT EXISTS (SELECT 1 FROM memberships WHERE project_id = v_event.project_id AND user_id = v_event.created_by) THEN",
            "IF false THEN",
        ),
    ),
    _guard(
        "receive_event: the name is locked",
        "waiting",
        ("receive_event", "PERFORM pg_advisory_xact_lock(engine.event_lock(v_event.project_id, v_event.name));", ""),
    ),
    _guard(
        "event_came: the name is locked",
        "waiting",
        ("event_came", "PERFORM pg_advisory_xact_lock_shared(engine.event_lock(p_step.project_id, p_name));", ""),
    ),
    _guard(
        "expire_steps: what is held gets the time back",
        "deadline",
        ("expire_steps", " AND NOT (s.held AND s.status = 'ready')", ""),
    ),
    _guard(
        "close_steps: no retry after the deadline",
        "deadline",
        (
            "close_steps",
            "                WHEN i.status = 'ready'\n                     AND s.fails_at <= clock_timestamp() + make_interval(secs => coalesce(i.retry_seconds, 0))\n                THEN 'failed'\n",
            "",
        ),
    ),
    _guard("compensate: once", "machine", ("compensate", " AND status <> 'compensating' RETURNING", " RETURNING")),
    # What nobody knows
    _guard(
        "resolve: an uncertain step",
        "resolve",
        ("resolve", "IF v_step.status <> 'uncertain' THEN\n    RETURN", "IF false THEN\n    RETURN"),
    ),
    _guard("resolve: a call in doubt", "resolve", ("resolve", "IF NOT v_meant <@ v_open THEN", "IF false THEN")),
    _guard(
        "resolve: only the call that is meant",
        "resolve",
        ("resolve", "v_meant := ARRAY[(p ->> 'call_id')::uuid];", "v_meant := v_open;"),
    ),
    _guard(
        "resolve: other calls in doubt",
        "resolve",
        ("resolve", "CASE WHEN NOT v_meant @> v_open THEN 'uncertain'\n                   WHEN", "CASE WHEN"),
    ),
    # The outbox
    _guard(
        "claim_outbox: what others hold",
        "outbox",
        ("claim_outbox", "       AND (o.lease_expires_at IS NULL OR o.lease_expires_at < clock_timestamp())\n", ""),
    ),
    _guard(
        "claim_outbox: epoch",
        "outbox",
        ("claim_outbox", "p_epoch IS DISTINCT FROM (SELECT epoch FROM system)", "false"),
    ),
    _guard(
        "close_outbox: the token of a delivery",
        "outbox",
        (
            "close_outbox",
            "WHERE id = ANY (p_ids) AND claim_token = p_token AND status",
            "WHERE id = ANY (p_ids) AND status",
        ),
    ),
    _guard(
        "close_outbox: the token of a failure",
        "outbox",
        ("close_outbox", "AND o.claim_token = p_token AND o.status", "AND o.status"),
    ),
    _guard("redrive: only what is dead", "outbox", ("redrive", "IF v_entry.status = 'dead' THEN", "IF true THEN")),
    # Seals of the audit trail
    _guard("seal: a number is taken once", "audit", ("seal", "\n  ON CONFLICT (number) DO NOTHING;", ";")),
    _guard(
        "seal: a line is sealed once",
        "audit",
        ("seal", "  DELETE FROM audit_unsealed WHERE audit_id = ANY (v_ids);\n", ""),
    ),
)
