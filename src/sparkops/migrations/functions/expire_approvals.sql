CREATE OR REPLACE FUNCTION engine.expire_approvals(p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_GOVERN. Questions that nobody answered in time are closed, and their steps go on to find that out; a run
-- that waits for the answer is to be advanced.
-- Runs that somebody holds are passed over until the next time. Returns {rings}.
DECLARE
  v_due approvals;
  v_step steps;
  v_events jsonb := '[]';
BEGIN
  FOR v_due IN SELECT * FROM approvals
                WHERE status IN ('pending', 'approved') AND expires_at <= clock_timestamp()
                ORDER BY run_id LIMIT p_limit LOOP
    PERFORM 1 FROM runs WHERE id = v_due.run_id FOR UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;
    SELECT * INTO v_step FROM steps WHERE id = v_due.step_id FOR UPDATE;
    UPDATE approvals SET status = 'expired'
     WHERE id = v_due.id AND status IN ('pending', 'approved') AND expires_at <= clock_timestamp();
    CONTINUE WHEN NOT FOUND;
    INSERT INTO unadvanced (run_id) SELECT v_due.run_id WHERE v_due.step_id IS NULL;
    v_events := v_events || jsonb_build_array(jsonb_build_object(
      'run_id', v_due.run_id, 'kind', 'approval.expired', 'step_id', v_due.step_id,
      'data', jsonb_build_object('approval_id', v_due.id, 'key', v_step.node_key))) || engine.wake(v_step);
  END LOOP;
  RETURN jsonb_build_object('rings', engine.emit(v_events));
END $$;
