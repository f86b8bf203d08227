CREATE OR REPLACE FUNCTION engine.wake(p_step steps) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_WAKE. A step that waits becomes ready; any other is left alone, so that twice is harmless. The caller holds the
-- locks of the run and of the step. Returns the events.
DECLARE
  v_step steps;
BEGIN
  UPDATE steps SET status = 'ready', waiting_for = NULL, wake_at = NULL, not_before = clock_timestamp(),
                   ready_at = clock_timestamp()
   WHERE id = p_step.id AND status = 'waiting' RETURNING * INTO v_step;
  IF NOT FOUND THEN
    RETURN '[]';
  END IF;
  RETURN jsonb_build_array(engine.step_event(v_step, 'step.ready', jsonb_build_object('ready_at', v_step.ready_at)));
END $$;
