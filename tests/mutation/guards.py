"""Every guard of the transactions, and how it is taken out: a textual change of one function or of several.

A guard is a condition without which something would go wrong that a test can see. Taking one out must make a test
fail; `python -m tests.mutation` tries them all. A refactored function that no longer has the text breaks the table
loudly (`test_guards.py`), and then needs its guards listed anew.

What is not here, because taking it out changes nothing that can be seen: the attempt number and the status beside the
random token (the token alone decides, and a CHECK ties it to the status), and locks that only keep an order of locks.
"""

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
        "close_steps: asked to stop", "cancel", ("close_steps", "WHEN s.cancel_requested THEN 'cancelled' ELSE", "ELSE")
    ),
    _guard(
        "close_steps: an effect of unknown outcome",
        "cancel",
        ("close_steps", "k.status IN ('prepared', 'unknown') AND k.effect_class = 'unsafe') THEN", "false) THEN"),
    ),
    # Claims
    _guard("claim: epoch", "claim", ("claim", "p_epoch IS DISTINCT FROM (SELECT epoch FROM system)", "false")),
    _guard(
        "claim: not before its time",
        "claim",
        ("claim", "           AND s.not_before <= clock_timestamp() AND (p", "           AND (p"),
        ("take", "\n       AND s.not_before <= clock_timestamp()", ""),
    ),
    _guard(
        "claim: what is to run alone, only by who is idle", "claim", ("claim", " AND (p_idle OR NOT s.isolate)", "")
    ),
    _guard(
        "claim: what is to run alone, alone",
        "claim",
        ("claim", "CASE WHEN v_alone THEN v_candidates[1:1] ELSE v_candidates END", "v_candidates"),
    ),
    _guard("claim: projects in turn", "claim", ("claim", "isolate DESC, turn, priority", "isolate DESC, priority")),
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
    ),
    _guard("give_back: or its time is up", "recovery", ("give_back", " OR s.step_deadline_at < clock_timestamp()", "")),
    _guard(
        "give_back: only of this session",
        "recovery",
        ("give_back", "ELSE s.worker_session = p_session END", "ELSE true END"),
    ),
    _guard("give_back: only what runs", "direct", ("give_back", "s.status = 'running'\n       AND CASE", "CASE")),
    _guard(
        "give_back: never waits",
        "claim",
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
        "give_back: attempts are used up",
        "recovery",
        ("give_back", "WHEN v_step.failures + 1 < v_step.max_attempts", "WHEN true"),
    ),
    _guard(
        "give_back: only an isolated step is poison",
        "recovery",
        ("give_back", "p_crashed AND v_step.isolate AND v_step.crashes", "p_crashed AND v_step.crashes"),
    ),
    _guard(
        "give_back: crashes are used up", "recovery", ("give_back", " AND v_step.crashes + 1 > v_step.max_crashes", "")
    ),
    _guard(
        "give_back: a peaceful end is no crash",
        "recovery",
        ("give_back", "crashes = crashes + (p_crashed AND NOT v_late)::int", "crashes = crashes + (NOT v_late)::int"),
    ),
    _guard(
        "give_back: too late is no crash",
        "recovery",
        ("give_back", "crashes = crashes + (p_crashed AND NOT v_late)::int", "crashes = crashes + p_crashed::int"),
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
        "wait",
        ("answer", "JOIN memberships m ON m.project_id = a.project_id AND m.user_id = p_user ", ""),
    ),
    _guard("answer: an open question", "wait", ("answer", "v_approval.status <> 'pending' OR ", "")),
    _guard("answer: in time", "wait", ("answer", " OR v_approval.expires_at <= clock_timestamp()", "")),
    _guard(
        "answer: not who asked", "wait", ("answer", "ELSIF v_approval.requested_by = p_user THEN", "ELSIF false THEN")
    ),
    _guard(
        "answer: the run is locked",
        "direct",
        ("answer", "PERFORM 1 FROM runs WHERE id = v_approval.run_id FOR UPDATE;", ""),
    ),
    _guard(
        "answer: looked at again under the lock",
        "wait",
        ("answer", "  SELECT * INTO v_approval FROM approvals WHERE id = p_approval FOR UPDATE;\n", ""),
    ),
    _guard("cancel: a run that has ended", "cancel", ("cancel", "v_run.finished_at IS NOT NULL OR ", "")),
    _guard(
        "cancel: twice",
        "cancel",
        (
            "cancel",
            " OR v_run.status = 'cancelling' AND NOT EXISTS (\n"
            "       SELECT 1 FROM steps WHERE run_id = p_run AND status = 'uncertain')",
            "",
        ),
    ),
    _guard(
        "cancel: asked for once",
        "cancel",
        ("cancel", "WHERE id = p_run AND status <> 'cancelling';", "WHERE id = p_run;"),
    ),
    _guard(
        "cancel: what runs is asked to stop",
        "cancel",
        ("cancel", "UPDATE steps SET cancel_requested = true WHERE id = v_step.id;", "NULL;"),
    ),
    _guard(
        "cancel: what is being prepared is waited for",
        "cancel",
        (
            "cancel",
            "AND status IN ('pending', 'ready', 'running', 'waiting', 'uncertain') ORDER BY id FOR UPDATE;",
            "AND false;",
        ),
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
            "ELSIF EXISTS (SELECT 1 FROM approvals WHERE id = ANY (v_approvals) AND status <> 'pending') THEN",
            "ELSIF false THEN",
        ),
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
        "propose: it must fit the budget",
        "budget",
        ("propose", "v_verdict = 'allow' AND NOT engine.reserve(p_step, v_call.id, 1, v_bound)", "false"),
    ),
    _guard(
        "reserve: it must fit the budget",
        "budget",
        ("reserve", "spent_micros + reserved_micros + p_amount > limit_micros", "false"),
    ),
    _guard(
        "reserve: what is held counts",
        "budget",
        ("reserve", "spent_micros + reserved_micros + p_amount", "spent_micros + p_amount"),
    ),
    _guard(
        "reserve: the budgets are locked before they are looked at",
        "budget",
        (
            "reserve",
            "PERFORM 1 FROM budgets WHERE scope = 'run' AND scope_id = p_step.run_id ORDER BY id FOR UPDATE;",
            "",
        ),
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
        ("resume", "IF v_denied IS NOT NULL OR NOT engine.reserve", "IF NOT engine.reserve"),
    ),
    _guard(
        "resume: a lost call that does not fit any more",
        "budget",
        (
            "resume",
            "v_denied IS NOT NULL OR NOT engine.reserve(p_step, v_call.id, v_call.sends, v_bound)",
            "v_denied IS NOT NULL",
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
        ("resume", "IF engine.reserve(p_step, v_call.id, 1, v_bound) THEN", "IF true THEN"),
    ),
)
