CREATE OR REPLACE FUNCTION engine.close_steps(p_items jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Ends attempts by compare and set on the token. The caller holds the locks of their runs.
-- p_items: [{step_id, attempt, token, status: succeeded | failed | ready, output, error, outcome, retry_seconds,
-- results: [as record_calls]} or {policy_version, calls: [as note_calls]}, and labels: those of the output, missing where
-- the row has them]; `ready` is a retry, which starts a
-- sub-workflow anew if its run has ended. A step that was asked to
-- stop and succeeded all the same has succeeded, so that what it did can be undone; otherwise it is cancelled. One that
-- leaves an effect behind which must not be repeated and whose outcome nobody knows becomes uncertain; one whose retry
-- would come after its deadline fails.
-- Returns {closed: [{step_id, run_id, status}], events}; what is missing in `closed` was fenced and changed nothing.
DECLARE
  v_item jsonb;
  v_step steps;
  v_recorded jsonb := '[]';
  v_calls jsonb;
  v_closed jsonb;
  v_events jsonb;
BEGIN
  -- All steps before any budget, and the budgets in the order of their ids, as everybody takes them.
  PERFORM 1 FROM steps WHERE id IN (SELECT (i ->> 'step_id')::uuid FROM jsonb_array_elements(p_items) i)
    ORDER BY id FOR UPDATE;
  PERFORM engine.lock_budgets(ARRAY(
    SELECT k.id FROM jsonb_array_elements(p_items) i
      JOIN steps s ON s.id = (i ->> 'step_id')::uuid
      JOIN calls k ON k.run_id = s.run_id AND k.step_id = s.id AND k.status = 'prepared'));
  FOR v_item IN SELECT i FROM jsonb_array_elements(p_items) i
                 WHERE jsonb_array_length(coalesce(i -> 'results', '[]')) > 0
                 ORDER BY (i ->> 'run_id')::uuid, (i ->> 'step_id')::uuid LOOP
    SELECT * INTO v_step FROM steps s
      WHERE s.id = (v_item ->> 'step_id')::uuid AND s.attempt = (v_item ->> 'attempt')::bigint
        AND s.claim_token = (v_item ->> 'token')::uuid AND s.status = 'running' FOR UPDATE;
    IF FOUND THEN
      v_recorded := v_recorded || engine.record_calls(v_step, v_item -> 'results');
    END IF;
  END LOOP;
  SELECT jsonb_agg(k || jsonb_build_object(
           'run_id', s.run_id, 'project_id', s.project_id, 'step_id', s.id, 'key', s.node_key, 'attempt', s.attempt,
           'policy_version', i -> 'policy_version'))
    INTO v_calls
    FROM jsonb_array_elements(p_items) i
    JOIN steps s ON s.id = (i ->> 'step_id')::uuid AND s.attempt = (i ->> 'attempt')::bigint
                AND s.claim_token = (i ->> 'token')::uuid AND s.status = 'running',
         jsonb_array_elements(i -> 'calls') k;
  IF v_calls IS NOT NULL THEN
    v_recorded := v_recorded || engine.note_calls(v_calls);
  END IF;

  WITH item AS (
    SELECT * FROM jsonb_to_recordset(p_items) AS i (
      step_id uuid, attempt bigint, token uuid, status text, output jsonb, error jsonb, outcome text,
      retry_seconds float8, labels text[])),
  held AS (
    SELECT s.id,
           CASE WHEN (s.cancel_requested OR i.status <> 'succeeded') AND EXISTS (
                  SELECT 1 FROM calls k WHERE k.run_id = s.run_id AND k.step_id = s.id
                     AND k.status IN ('prepared', 'unknown') AND k.effect_class = 'unsafe') THEN 'uncertain'
                WHEN s.cancel_requested AND i.status <> 'succeeded' THEN 'cancelled'
                WHEN i.status = 'ready'
                     AND engine.step_fails_at(s, clock_timestamp()) <= clock_timestamp() + make_interval(secs => coalesce(i.retry_seconds, 0))
                THEN 'failed'
                ELSE i.status END AS status
      FROM steps s JOIN item i ON s.id = i.step_id AND s.attempt = i.attempt AND s.claim_token = i.token
     WHERE s.status = 'running' ORDER BY s.id FOR UPDATE OF s),
  closed AS (
    UPDATE steps s
       SET status = h.status,
           output = CASE WHEN h.status = 'succeeded' THEN nullif(i.output, 'null') END,
           error = nullif(i.error, 'null'),
           labels = coalesce(i.labels, s.labels),
           failures = s.failures + (i.status <> 'succeeded')::int,
           child_run_id = CASE WHEN h.status = 'ready' THEN (
             SELECT r.id FROM runs r WHERE r.id = s.child_run_id AND r.finished_at IS NULL) ELSE s.child_run_id END,
           not_before = clock_timestamp() + make_interval(secs => coalesce(i.retry_seconds, 0)),
           ready_at = CASE WHEN h.status = 'ready' THEN clock_timestamp() ELSE s.ready_at END,
           claim_token = NULL, lease_expires_at = NULL, step_deadline_at = NULL,
           finished_at = CASE WHEN h.status IN ('succeeded', 'failed', 'cancelled') THEN clock_timestamp() END
      FROM held h JOIN item i ON i.step_id = h.id WHERE s.id = h.id
      RETURNING s.*),
  ended AS (
    UPDATE step_attempts a
       SET ended_at = clock_timestamp(), outcome = CASE WHEN c.status IN ('cancelled', 'uncertain') THEN c.status ELSE i.outcome END,
           error = c.error
      FROM closed c JOIN item i ON i.step_id = c.id
     WHERE a.run_id = c.run_id AND a.step_id = c.id AND a.attempt = c.attempt)
  SELECT jsonb_agg(jsonb_build_object('step_id', c.id, 'run_id', c.run_id, 'status', c.status)),
         jsonb_agg(engine.step_event(
           c, CASE WHEN c.status = 'ready' THEN 'step.retrying' ELSE 'step.' || c.status END,
           jsonb_strip_nulls(jsonb_build_object('error', c.error, 'finished_at', c.finished_at,
                                                'in_seconds', i.retry_seconds))))
    INTO v_closed, v_events FROM closed c JOIN item i ON i.step_id = c.id;

  FOR v_step IN SELECT s.* FROM jsonb_array_elements(coalesce(v_closed, '[]')) c
                  JOIN steps s ON s.id = (c ->> 'step_id')::uuid
                 WHERE c ->> 'status' IN ('failed', 'cancelled', 'uncertain') LOOP
    v_recorded := v_recorded || engine.abandon_calls(v_step);
  END LOOP;
  RETURN jsonb_build_object('closed', coalesce(v_closed, '[]'), 'events', v_recorded || coalesce(v_events, '[]'));
END $$;
