CREATE OR REPLACE FUNCTION engine.accept(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_ACCEPT. The run, all its steps, its budget, its log and the audit line, in one transaction.
-- p: {run: {…columns}, steps: [{…columns}], skipped: {key: reason}, budget_id, limit_micros, actor}. The first statuses of the steps were
-- decided before; a step that is already final carries its output or error.
-- Returns {run_id, created, same, status, created_at, rings}: on a repeated idempotency key the run that exists, and whether the
-- request was the same.
DECLARE
  v_run runs := jsonb_populate_record(NULL::runs, p -> 'run');
  v_id uuid;
  v_other runs;
  v_events jsonb;
BEGIN
  INSERT INTO runs (id, project_id, workflow_id, workflow_version_id, status, trigger, input, pins, idem_key,
                    idem_hash, created_by, started_at, deadline_at)
  VALUES (v_run.id, v_run.project_id, v_run.workflow_id, v_run.workflow_version_id, 'running', v_run.trigger,
          v_run.input, v_run.pins, v_run.idem_key, v_run.idem_hash, v_run.created_by, clock_timestamp(),
          clock_timestamp() + make_interval(secs => (p ->> 'deadline_seconds')::float8))
  ON CONFLICT (project_id, idem_key) DO NOTHING
  RETURNING id, created_at INTO v_id, v_run.created_at;
  IF v_id IS NULL THEN
    SELECT * INTO v_other FROM runs WHERE project_id = v_run.project_id AND idem_key = v_run.idem_key;
    RETURN jsonb_build_object('run_id', v_other.id, 'created', false,
                              'same', v_other.idem_hash = v_run.idem_hash, 'rings', '[]'::jsonb);
  END IF;

  WITH step AS (
    INSERT INTO steps (id, run_id, project_id, node_key, path, type, position, queue, inline, mechanical, hands_over,
                       needs, dependents, reads, reads_input, effect_class, timeout, max_attempts, status, output,
                       error, ready_at, started_at, finished_at)
    SELECT s.id, v_id, v_run.project_id, s.node_key, s.node_key, s.type, s.position, s.queue, s.inline, s.mechanical,
           s.hands_over, s.needs, s.dependents, s.reads, s.reads_input, s.effect_class, s.timeout, s.max_attempts,
           s.status, s.output, s.error,
           CASE WHEN s.status = 'ready' THEN clock_timestamp() END,
           CASE WHEN s.status IN ('succeeded', 'failed') THEN clock_timestamp() END,
           CASE WHEN s.status IN ('succeeded', 'failed', 'skipped') THEN clock_timestamp() END
      FROM jsonb_populate_recordset(NULL::steps, p -> 'steps') s
      RETURNING *)
  SELECT jsonb_agg(engine.step_event(
           s, 'step.' || s.status,
           jsonb_strip_nulls(jsonb_build_object(
             'reason', p -> 'skipped' ->> s.node_key, 'error', s.error, 'ready_at', s.ready_at,
             'started_at', s.started_at, 'finished_at', s.finished_at)))
           ORDER BY s.position)
    INTO v_events FROM step s WHERE s.status <> 'pending';

  INSERT INTO run_counters (run_id, project_id) VALUES (v_id, v_run.project_id);
  INSERT INTO budgets (id, project_id, scope, scope_id, period, limit_micros)
  VALUES ((p ->> 'budget_id')::uuid, v_run.project_id, 'run', v_id, 'run', (p ->> 'limit_micros')::bigint);
  PERFORM engine.write_audit(v_run.project_id, p ->> 'actor', 'run.create', 'run:' || v_id, '{}');

  v_events := jsonb_build_array(
      jsonb_build_object('run_id', v_id, 'kind', 'run.created', 'data', jsonb_build_object('status', 'running')),
      jsonb_build_object('run_id', v_id, 'kind', 'run.started', 'data', jsonb_build_object('status', 'running')))
    || coalesce(v_events, '[]');
  IF p ? 'finish' THEN
    v_events := v_events || (engine.apply(v_id, jsonb_build_array(p -> 'finish')) -> 'events');
  END IF;
  RETURN jsonb_build_object(
    'run_id', v_id, 'created', true, 'same', true, 'created_at', v_run.created_at,
    'status', CASE WHEN p ? 'finish' THEN p -> 'finish' ->> 'status' ELSE 'running' END,
    'rings', engine.emit(v_events));
END $$;
