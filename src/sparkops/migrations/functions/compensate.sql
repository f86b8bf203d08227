CREATE OR REPLACE FUNCTION engine.compensate(p_run uuid, p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- A run that is going to end as failed or cancelled gets the steps that take effects back, all pending. The caller
-- holds the lock of the run. p: {ends_as, error, steps: [{…columns}]}. Returns the events.
DECLARE
  v_run runs;
BEGIN
  UPDATE runs SET status = 'compensating', ends_as = p ->> 'ends_as',
                  error = coalesce(nullif(p -> 'error', 'null'), error),
                  step_count = step_count + jsonb_array_length(p -> 'steps')
   WHERE id = p_run AND status <> 'compensating' RETURNING * INTO v_run;
  IF NOT FOUND THEN
    RETURN '[]';
  END IF;
  INSERT INTO steps (id, run_id, project_id, node_key, path, type, position, queue, priority, inline, mechanical,
                     hands_over, reads, reads_input, effect_class, timeout, max_attempts, backoff, max_backoff,
                     jitter, retries_timeouts, deadline, on_error, undo_of, status)
  SELECT s.id, p_run, v_run.project_id, s.node_key, s.node_key, s.type, s.position, s.queue, v_run.priority, s.inline,
         false, s.hands_over, s.reads, s.reads_input, s.effect_class, s.timeout, s.max_attempts, s.backoff,
         s.max_backoff, s.jitter, s.retries_timeouts, s.deadline, s.on_error, s.undo_of, 'pending'
    FROM jsonb_populate_recordset(NULL::steps, p -> 'steps') s;
  RETURN jsonb_build_array(jsonb_build_object(
    'run_id', p_run, 'kind', 'run.compensating',
    'data', jsonb_strip_nulls(jsonb_build_object('status', 'compensating', 'ends_as', v_run.ends_as,
                                                 'error', v_run.error))));
END $$;
