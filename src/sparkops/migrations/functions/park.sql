CREATE OR REPLACE FUNCTION engine.park(p_step steps, p_status text, p_waiting_for jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- A running step stops without an end: `waiting` for what p_waiting_for says, `ready` because that is there already,
-- `uncertain`, or `cancelled`. The worker is free of it, its attempt ends. Returns the events.
DECLARE
  v_step steps;
BEGIN
  UPDATE step_attempts
     SET ended_at = clock_timestamp(), outcome = CASE p_status WHEN 'ready' THEN 'waiting' ELSE p_status END
   WHERE run_id = p_step.run_id AND step_id = p_step.id AND attempt = p_step.attempt;
  UPDATE steps
     SET status = p_status, claim_token = NULL, lease_expires_at = NULL, step_deadline_at = NULL,
         worker_session = NULL, waiting_for = p_waiting_for,
         wake_at = (p_waiting_for ->> 'until')::timestamptz,
         not_before = clock_timestamp(),
         ready_at = CASE WHEN p_status = 'ready' THEN clock_timestamp() ELSE ready_at END,
         finished_at = CASE WHEN p_status = 'cancelled' THEN clock_timestamp() END
   WHERE id = p_step.id
   RETURNING * INTO v_step;
  RETURN jsonb_build_array(engine.step_event(
    v_step, 'step.' || p_status, jsonb_strip_nulls(jsonb_build_object('waiting_for', p_waiting_for))));
END $$;
