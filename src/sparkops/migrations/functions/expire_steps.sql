CREATE OR REPLACE FUNCTION engine.expire_steps(p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_SWEEP. Steps that are ready or wait when their deadline is over fail; those that run are the reaper's, and
-- those that are held get the time back. So do those that stood under a halt, here, once; what is halted now is left
-- alone, and is given the time when that is over. A ready step may end only by way of running: it is taken under a token that
-- nobody learns, and ended. Never waits and never locks a run.
-- Returns {runs: [those that must be advanced in a transaction of their own], looked: at how many steps, rings}.
DECLARE
  v_halted uuid[] := engine.halted();
  v_step steps;
  v_now timestamptz;
  v_fails_at timestamptz;
  v_looked int := 0;
  v_ended steps[] := '{}';
  v_calls jsonb := '[]';
  v_events jsonb := '[]';
  v_runs jsonb := '[]';
BEGIN
  IF '00000000-0000-0000-0000-000000000000' = ANY (v_halted) THEN
    RETURN '{"runs": [], "looked": 0, "rings": []}';
  END IF;
  FOR v_step IN
    SELECT * FROM steps s
     WHERE s.status IN ('ready', 'waiting') AND s.fails_at < clock_timestamp() AND NOT (s.held AND s.status = 'ready')
       AND s.project_id <> ALL (v_halted)
     ORDER BY s.fails_at, s.id LIMIT p_limit FOR UPDATE SKIP LOCKED
  LOOP
    v_looked := v_looked + 1;
    v_now := clock_timestamp();
    v_fails_at := engine.step_fails_at(v_step, v_now);
    IF v_fails_at > v_step.fails_at THEN
      UPDATE steps SET fails_at = v_fails_at, clock_from = v_now WHERE id = v_step.id;
      CONTINUE WHEN v_fails_at >= v_now;
    END IF;
    IF v_step.status = 'ready' THEN
      UPDATE steps SET status = 'running', claim_token = gen_random_uuid(), lease_expires_at = clock_timestamp()
       WHERE id = v_step.id;
    END IF;
    UPDATE steps
       SET status = 'failed', error = engine.deadline_error(v_step), claim_token = NULL, lease_expires_at = NULL,
           waiting_for = NULL, wake_at = NULL, finished_at = clock_timestamp()
     WHERE id = v_step.id RETURNING * INTO v_step;
    v_ended := v_ended || v_step;
    v_events := v_events || jsonb_build_array(engine.step_event(
      v_step, 'step.failed', jsonb_build_object('error', v_step.error, 'finished_at', v_step.finished_at)));
    v_runs := v_runs || to_jsonb(v_step.run_id);
  END LOOP;
  PERFORM engine.lock_budgets(ARRAY(
    SELECT k.id FROM unnest(v_ended) s JOIN calls k ON k.run_id = s.run_id AND k.step_id = s.id AND k.status = 'prepared'));
  FOREACH v_step IN ARRAY v_ended LOOP
    v_calls := v_calls || engine.abandon_calls(v_step);
  END LOOP;
  INSERT INTO unadvanced (run_id) SELECT DISTINCT r::uuid FROM jsonb_array_elements_text(v_runs) r;
  RETURN jsonb_build_object('runs', v_runs, 'looked', v_looked, 'rings', engine.emit(v_calls || v_events));
END $$;
