CREATE OR REPLACE FUNCTION engine.accept(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_ACCEPT. The run, all its steps, its budget, its log and the audit line, in one transaction.
-- p: {run: {…columns}, steps: [{…columns}], skipped: {key: reason}, budget_id, limit_micros, actor, when_full, calls,
-- about, origin, parent, policy_version, decisions, consent, unended, budgeted}. The first statuses of the steps were decided before; a step that is already final carries its output or error,
-- or names the final step of the source run that it is a copy of (copied_from), whose output it takes.
-- when_full: what is done where a limit leaves no room, missing where there is no limit and no pause.
-- calls: [{id, copy_of, step_id}], final calls of the source run, copied as `attempt` 0: no attempt of this run made
-- them, nothing was sent, used or charged; decision and approval stay those of the original. about: the audit line's
-- detail. Both are absent for a run that is made from no other. origin: where the request came from, as write_audit
-- takes it: several requests share this transaction.
-- policy_version, decisions: what the rules said about the run, [{request_hash, and what `decide` takes}]; absent where
-- none is on that. consent: the decision that people have to be asked whether it may begin, as judge_run takes it; it
-- looks for room, and is counted, when they have. unended: nothing of it is open, and it is advanced afterwards.
-- budgeted: budgets may limit how many runs there are; such a run comes alone. waits: one of them pauses it; it queues, and
-- looks for room, and is counted, when it begins. parent: {step_id, attempt, token} of the step whose sub-workflow this is; absent for a run of its own.
-- Returns {run_id, created, same, status, created_at, started_at, rings}: on a repeated idempotency key, or for a step that has
-- its run, the run that exists, and whether the request was the same; or {retried, status}: another retry of the source is going on or has succeeded.
-- {policy_version}: the rules have changed since, judge again. Without a run_id it was rejected, because its concurrency key has no room.
-- Raises SF001, SF006: the parent step is no longer held, or was asked to stop. SF008: a budget has no room for the run, or asks.
-- Lock order: admission, the parent step, everything new, budgets, counters.
DECLARE
  v_run runs := jsonb_populate_record(NULL::runs, p -> 'run');
  v_id uuid;
  v_other runs;
  v_events jsonb;
  v_parent steps;
  v_status text := 'running';
  v_counted jsonb := '[]';
  v_asked jsonb := '[]';
BEGIN
  IF p ? 'parent' THEN
    SELECT s.id, s.run_id, r.lineage || r.id, r.created_by_key
      INTO v_run.parent_step_id, v_run.parent_run_id, v_run.lineage, v_run.created_by_key
      FROM steps s JOIN runs r ON r.id = s.run_id WHERE s.id = (p -> 'parent' ->> 'step_id')::uuid;
  END IF;
  v_run.lineage := coalesce(v_run.lineage, '{}');
  v_run.priority := coalesce(v_run.priority, 0);
  IF p ? 'consent' THEN
    v_status := 'awaiting_approval';
  ELSIF p ? 'waits' AND v_run.parent_run_id IS NULL THEN
    v_status := 'queued';
    v_run.uncounted := true;
  ELSIF p ? 'when_full' THEN
    v_status := engine.first_status(v_run, p ->> 'when_full');
  END IF;
  IF p ? 'parent' THEN
    v_parent := engine.hold_lease((p -> 'parent' ->> 'step_id')::uuid, (p -> 'parent' ->> 'attempt')::bigint,
                                  (p -> 'parent' ->> 'token')::uuid);
    IF v_parent.cancel_requested THEN
      RAISE EXCEPTION 'step % was asked to stop', v_parent.id USING ERRCODE = 'SF006';
    END IF;
    SELECT * INTO v_other FROM runs WHERE id = v_parent.child_run_id;
    IF FOUND THEN
      RETURN jsonb_build_object('run_id', v_other.id, 'created', false, 'same', true, 'status', v_other.status,
                                'rings', '[]'::jsonb);
    END IF;
  END IF;
  IF (p ? 'decisions' OR p ? 'consent') AND engine.policy_stamp(v_run.project_id) <> (p ->> 'policy_version')::bigint THEN
    RETURN jsonb_build_object('policy_version', engine.policy_stamp(v_run.project_id));
  END IF;
  IF v_run.source_kind = 'retry' THEN
    -- One retry at a time: two would each complete what was approved once.
    PERFORM 1 FROM runs WHERE id = v_run.source_run_id FOR UPDATE;
    SELECT * INTO v_other FROM runs
      WHERE source_run_id = v_run.source_run_id AND source_kind = 'retry'
        AND status NOT IN ('failed', 'cancelled', 'denied')
        AND (v_run.idem_key IS NULL OR idem_key IS DISTINCT FROM v_run.idem_key) LIMIT 1;
    IF FOUND THEN
      RETURN jsonb_build_object('retried', v_other.id, 'status', v_other.status);
    END IF;
  END IF;
  INSERT INTO runs (id, project_id, workflow_id, workflow_version_id, status, trigger, input, pins, idem_key,
                    idem_hash, created_by, created_by_key, started_at, deadline_at, priority, concurrency_key,
                    concurrency_limit, step_count, source_run_id, source_kind, loop_version,
                    parent_run_id, parent_step_id, lineage, has_undo, labels, uncounted)
  SELECT v_run.id, v_run.project_id, v_run.workflow_id, v_run.workflow_version_id, v_status, v_run.trigger,
         v_run.input, v_run.pins, v_run.idem_key, v_run.idem_hash, v_run.created_by, v_run.created_by_key,
         CASE v_status WHEN 'running' THEN clock_timestamp() END,
         clock_timestamp() + make_interval(secs => (p ->> 'deadline_seconds')::float8), v_run.priority,
         v_run.concurrency_key, v_run.concurrency_limit, jsonb_array_length(p -> 'steps'),
         v_run.source_run_id, v_run.source_kind, coalesce(v_run.loop_version, 1),
         v_run.parent_run_id, v_run.parent_step_id, v_run.lineage, coalesce(v_run.has_undo, false),
         coalesce(v_run.labels, '{}'), coalesce(v_run.uncounted, false)
   WHERE v_status <> 'full'
  ON CONFLICT (project_id, idem_key) DO NOTHING
  RETURNING id, created_at, started_at INTO v_id, v_run.created_at, v_run.started_at;
  IF v_id IS NULL THEN
    SELECT * INTO v_other FROM runs WHERE project_id = v_run.project_id AND idem_key = v_run.idem_key;
    RETURN jsonb_build_object('run_id', v_other.id, 'created', false, 'same', v_other.idem_hash = v_run.idem_hash,
                              'status', v_other.status, 'rings', '[]'::jsonb);
  END IF;
  UPDATE steps SET child_run_id = v_id WHERE id = v_run.parent_step_id;

  WITH step AS (
    INSERT INTO steps (id, run_id, project_id, node_key, path, type, position, queue, inline, mechanical, hands_over,
                       needs, dependents, reads, reads_input, effect_class, timeout, max_attempts, status, output,
                       error, ready_at, started_at, finished_at, priority, held, backoff, max_backoff, jitter,
                       retries_timeouts, deadline, fails_at, copied_from, on_error, labels)
    SELECT s.id, v_id, v_run.project_id, s.node_key, s.node_key, s.type, s.position, s.queue, s.inline, s.mechanical,
           s.hands_over, s.needs, s.dependents, s.reads, s.reads_input, s.effect_class, s.timeout, s.max_attempts,
           s.status,
           CASE WHEN s.copied_from IS NULL THEN s.output
                ELSE (SELECT o.output FROM steps o WHERE o.id = s.copied_from) END,
           s.error,
           CASE WHEN s.status = 'ready' THEN clock_timestamp() END,
           CASE WHEN s.status IN ('succeeded', 'failed') THEN clock_timestamp() END,
           CASE WHEN s.status IN ('succeeded', 'failed', 'skipped') THEN clock_timestamp() END,
           v_run.priority, v_status IN ('queued', 'awaiting_approval') AND s.status IN ('pending', 'ready'),
           coalesce(s.backoff, interval '1 second'), coalesce(s.max_backoff, interval '1 minute'),
           coalesce(s.jitter, true), coalesce(s.retries_timeouts, true), s.deadline,
           CASE WHEN s.status = 'ready' THEN clock_timestamp() + s.deadline END,
           s.copied_from, coalesce(s.on_error, 'fail'), coalesce(s.labels, '{}')
      FROM jsonb_populate_recordset(NULL::steps, p -> 'steps') s
      RETURNING *)
  SELECT jsonb_agg(engine.step_event(
           s, 'step.' || s.status,
           jsonb_strip_nulls(jsonb_build_object(
             'reason', p -> 'skipped' ->> s.node_key, 'error', s.error, 'ready_at', s.ready_at,
             'started_at', s.started_at, 'finished_at', s.finished_at, 'copied_from', s.copied_from)))
           ORDER BY s.position)
    INTO v_events FROM step s WHERE s.status <> 'pending';

  IF p ? 'calls' THEN
    INSERT INTO calls (run_id, id, project_id, step_id, seq, kind, name, tool_hash, request_hash, request, effect_class,
                       status, decision_id, approval_id, attempt, response, error, labels, finished_at)
    SELECT v_id, k.id, c.project_id, k.step_id, c.seq, c.kind, c.name, c.tool_hash, c.request_hash, c.request,
           c.effect_class, c.status, c.decision_id, c.approval_id, 0, c.response, c.error, c.labels,
           clock_timestamp()
      FROM jsonb_to_recordset(p -> 'calls') AS k (id uuid, copy_of uuid, step_id uuid)
      JOIN calls c ON c.run_id = v_run.source_run_id AND c.id = k.copy_of;
  END IF;

  IF p ? 'decisions' THEN
    PERFORM engine.decide(v_id, NULL, v_run.project_id, 'run', v_id, d ->> 'request_hash',
                          (p ->> 'policy_version')::bigint, d)
       FROM jsonb_array_elements(p -> 'decisions') d;
  END IF;
  IF p ? 'consent' THEN
    v_asked := engine.judge_run(v_id, p -> 'consent') -> 'events';
  END IF;
  INSERT INTO run_counters (run_id, project_id) VALUES (v_id, v_run.project_id);
  INSERT INTO budgets (id, project_id, scope, scope_id, period, limit_micros)
  VALUES ((p ->> 'budget_id')::uuid, v_run.project_id, 'run', v_id, 'run', (p ->> 'limit_micros')::bigint);
  IF p ? 'budgeted' AND v_run.parent_run_id IS NULL AND NOT p ? 'consent' AND v_run.uncounted IS NULL THEN
    v_counted := engine.count_run(v_id, '{}');
  END IF;
  PERFORM engine.write_audit(v_run.project_id, p ->> 'actor', 'run.' || coalesce(v_run.source_kind, 'create'),
                             'run:' || v_id, coalesce(p -> 'about', '{}'), NULL, NULL, coalesce(p -> 'origin', '{}'));

  v_events := jsonb_build_array(
      jsonb_build_object('run_id', v_id, 'kind', 'run.created', 'data', jsonb_strip_nulls(jsonb_build_object(
        'status', v_status, 'source_run_id', v_run.source_run_id, 'source_kind', v_run.source_kind))),
      jsonb_build_object('run_id', v_id, 'kind', CASE v_status WHEN 'running' THEN 'run.started' ELSE 'run.' || v_status END,
                         'data', jsonb_build_object('status', v_status)))
    || v_counted || coalesce(v_events, '[]') || v_asked;
  IF p ? 'unended' THEN
    INSERT INTO unadvanced (run_id) VALUES (v_id);
  END IF;
  IF p ? 'finish' AND v_status = 'running' THEN
    v_events := v_events || (engine.apply(v_id, jsonb_build_array(p -> 'finish')) -> 'events');
  END IF;
  RETURN jsonb_build_object(
    'run_id', v_id, 'created', true, 'same', true, 'created_at', v_run.created_at,
    'started_at', v_run.started_at,
    'status', CASE WHEN p ? 'finish' AND v_status = 'running' THEN p -> 'finish' ->> 'status' ELSE v_status END,
    'rings', engine.emit(v_events));
END $$;
