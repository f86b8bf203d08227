CREATE OR REPLACE FUNCTION engine.put_back(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_RELEASE of one step, by the worker that holds it and may not go on now: it is ready again, and nobody is blamed.
-- p: {step_id, attempt, token, reason, results: [as record_calls]}: what was sent before is recorded.
-- Returns {status: ready | cancelled | uncertain, rings}; the caller advances the run unless it is ready. Raises SF001.
DECLARE
  v_step steps := engine.hold_lease((p ->> 'step_id')::uuid, (p ->> 'attempt')::bigint, (p ->> 'token')::uuid);
  v_events jsonb;
  v_status text := CASE WHEN v_step.cancel_requested THEN 'cancelled' ELSE 'ready' END;
BEGIN
  PERFORM engine.lock_budgets(ARRAY(
    SELECT id FROM calls WHERE run_id = v_step.run_id AND step_id = v_step.id AND status = 'prepared'));
  v_events := engine.record_calls(v_step, p -> 'results');
  IF EXISTS (SELECT 1 FROM calls c WHERE c.run_id = v_step.run_id AND c.step_id = v_step.id
                AND c.status IN ('prepared', 'unknown') AND c.effect_class = 'unsafe') THEN
    v_status := 'uncertain';
  END IF;
  UPDATE step_attempts
     SET ended_at = clock_timestamp(), outcome = CASE v_status WHEN 'ready' THEN 'released' ELSE v_status END
   WHERE run_id = v_step.run_id AND step_id = v_step.id AND attempt = v_step.attempt;
  UPDATE steps
     SET status = v_status, claim_token = NULL, lease_expires_at = NULL, step_deadline_at = NULL,
         worker_session = NULL, not_before = clock_timestamp()
           + CASE p ->> 'reason' WHEN 'no-database' THEN interval '1 second' ELSE interval '0' END,
         ready_at = CASE WHEN v_status = 'ready' THEN clock_timestamp() ELSE ready_at END,
         finished_at = CASE WHEN v_status = 'cancelled' THEN clock_timestamp() END
   WHERE id = v_step.id RETURNING * INTO v_step;
  IF v_status <> 'ready' THEN
    v_events := v_events || engine.abandon_calls(v_step);
    INSERT INTO unadvanced (run_id) VALUES (v_step.run_id);
  END IF;
  v_events := v_events || jsonb_build_array(engine.step_event(
    v_step, CASE v_status WHEN 'ready' THEN 'step.released' ELSE 'step.' || v_status END,
    jsonb_strip_nulls(jsonb_build_object('reason', p -> 'reason', 'finished_at', v_step.finished_at))));
  RETURN jsonb_build_object('status', v_status, 'rings', engine.emit(v_events));
END $$;
