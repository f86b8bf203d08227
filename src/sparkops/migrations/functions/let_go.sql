CREATE OR REPLACE FUNCTION engine.let_go(p_run runs) RETURNS void
LANGUAGE plpgsql AS $$
-- A run that was paused or queued, and whose lock the caller holds, goes on: its steps may be claimed. The time that
-- it was held counts neither against the run's deadline nor against that of a step that was ready meanwhile. What halts
-- took before that is given back with it, and what they took meanwhile is not given back again.
DECLARE
  v_now timestamptz := clock_timestamp();
  v_since timestamptz := CASE WHEN p_run.started_at IS NULL THEN p_run.created_at ELSE p_run.paused_at END;
BEGIN
  -- A step that is being expanded is waited for, so that the statement after this one sees the rows that inherited.
  PERFORM 1 FROM steps WHERE run_id = p_run.id AND held AND finished_at IS NULL ORDER BY id FOR UPDATE;
  UPDATE steps s
     SET fails_at = engine.step_fails_at(s, greatest(v_since, ready_at)) + (v_now - greatest(v_since, ready_at)),
         clock_from = v_now
   WHERE run_id = p_run.id AND held AND status = 'ready' AND fails_at IS NOT NULL;
  UPDATE steps SET held = false WHERE run_id = p_run.id AND held AND finished_at IS NULL;
  UPDATE runs
     SET status = 'running', started_at = coalesce(started_at, v_now),
         deadline_at = deadline_at + (v_now - v_since)
           + engine.stood(project_id, coalesce(clock_from, started_at, v_since), v_since),
         clock_from = v_now, paused_at = NULL, paused_by = NULL
   WHERE id = p_run.id;
END $$;
