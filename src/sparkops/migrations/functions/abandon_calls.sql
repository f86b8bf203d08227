CREATE OR REPLACE FUNCTION engine.abandon_calls(p_step steps) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- The calls of a step that ends without them: what was sent is unknown and its bound presumed spent; what waited for
-- a person is denied and the question withdrawn. Of an uncertain step only what must not be repeated is given up, for
-- the step may go on one day. The caller holds the step. Returns the events.
DECLARE
  v_call calls;
  v_charged bigint;
  v_events jsonb := '[]';
BEGIN
  PERFORM engine.lock_budgets(ARRAY(
    SELECT id FROM calls WHERE run_id = p_step.run_id AND step_id = p_step.id AND status = 'prepared'));
  FOR v_call IN SELECT * FROM calls WHERE run_id = p_step.run_id AND step_id = p_step.id
                   AND status IN ('prepared', 'waiting_approval')
                   AND (p_step.status <> 'uncertain' OR status = 'prepared' AND effect_class = 'unsafe')
                 ORDER BY seq FOR UPDATE LOOP
    v_charged := engine.charge(v_call, NULL);
    UPDATE calls
       SET status = CASE v_call.status WHEN 'prepared' THEN 'unknown' ELSE 'denied' END,
           cost_micros = cost_micros + v_charged, finished_at = clock_timestamp(),
           error = jsonb_build_object('code', 'abandoned', 'message', 'the step ended before this call did')
     WHERE run_id = v_call.run_id AND id = v_call.id RETURNING * INTO v_call;
    v_events := v_events || jsonb_build_array(engine.call_event(p_step, v_call));
  END LOOP;
  IF p_step.status <> 'uncertain' THEN
    UPDATE approvals SET status = 'withdrawn'
     WHERE run_id = p_step.run_id AND step_id = p_step.id AND status IN ('pending', 'approved');
  END IF;
  RETURN v_events;
END $$;
