CREATE OR REPLACE FUNCTION engine.wake_due(p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_SWEEP, and what a worker does when a time has come. Steps whose timer or whose wait for an event is over
-- become ready. Runs that somebody holds are passed over until the next time. Returns {ready: how many, rings}.
DECLARE
  v_due steps;
  v_step steps;
  v_events jsonb := '[]';
BEGIN
  FOR v_due IN SELECT * FROM steps WHERE status = 'waiting' AND wake_at <= clock_timestamp()
                ORDER BY wake_at LIMIT p_limit LOOP
    PERFORM 1 FROM runs WHERE id = v_due.run_id FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    SELECT * INTO v_step FROM steps
      WHERE id = v_due.id AND status = 'waiting' AND wake_at <= clock_timestamp() FOR UPDATE;
    CONTINUE WHEN NOT FOUND;
    v_events := v_events || engine.wake(v_step);
  END LOOP;
  RETURN jsonb_build_object('ready', jsonb_array_length(v_events), 'rings', engine.emit(v_events));
END $$;
