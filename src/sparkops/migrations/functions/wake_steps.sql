CREATE OR REPLACE FUNCTION engine.wake_steps(p_steps uuid[], p_kind text) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_WAKE of steps of any runs that wait for something of this kind; the others are left alone, so that twice is
-- harmless. Waits for the runs, in the order of their ids. Returns {ready: how many, rings}.
DECLARE
  v_step steps;
  v_woken jsonb;
  v_events jsonb := '[]';
BEGIN
  PERFORM 1 FROM runs WHERE id IN (SELECT s.run_id FROM steps s WHERE s.id = ANY (p_steps)) ORDER BY id FOR UPDATE;
  FOR v_step IN SELECT * FROM steps WHERE id = ANY (p_steps) ORDER BY id FOR UPDATE LOOP
    IF v_step.status = 'waiting' AND v_step.waiting_for ->> 'kind' = p_kind THEN
      v_events := v_events || engine.wake(v_step);
    END IF;
  END LOOP;
  RETURN jsonb_build_object('ready', jsonb_array_length(v_events), 'rings', engine.emit(v_events));
END $$;
