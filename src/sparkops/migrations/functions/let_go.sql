CREATE OR REPLACE FUNCTION engine.let_go(p_run runs) RETURNS void
LANGUAGE plpgsql AS $$
-- A run that was paused or queued, and whose lock the caller holds, goes on: its steps may be claimed. The time that
-- it was held counts neither against the run's deadline nor against that of a step that was ready meanwhile.
DECLARE
  v_now timestamptz := clock_timestamp();
  v_since timestamptz := CASE WHEN p_run.started_at IS NULL THEN p_run.created_at ELSE p_run.paused_at END;
BEGIN
  -- A step that is being expanded is waited for, so that the statement after this one sees the rows that inherited.
  PERFORM 1 FROM steps WHERE run_id = p_run.id AND held AND finished_at IS NULL ORDER BY id FOR UPDATE;
  UPDATE steps
     SET held = false,
         fails_at = CASE WHEN status = 'ready' THEN fails_at + (v_now - greatest(v_since, ready_at)) ELSE fails_at END
   WHERE run_id = p_run.id AND held AND finished_at IS NULL;
  UPDATE runs
     SET status = 'running', started_at = coalesce(started_at, v_now), deadline_at = deadline_at + (v_now - v_since),
         paused_at = NULL, paused_by = NULL
   WHERE id = p_run.id;
END $$;
