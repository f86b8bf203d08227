CREATE OR REPLACE FUNCTION engine.give_back_each(p_session uuid, p_crashed boolean, p_limit int) RETURNS jsonb
LANGUAGE plpgsql SET lock_timeout = '100ms' AS $$
-- T_REAP and T_RELEASE, as give_back says, one run at a time: a transaction that stands still, because its process does,
-- may hold a run's counter or budget for seconds, and must not keep the reaper from all the others. Its run is passed
-- over, and the next sweep finds it again. The session of a release ends when nothing of it is left.
-- Returns what give_back returns, and left: how many of its steps a session still has.
DECLARE
  v_run uuid;
  v_one jsonb;
  v_left int := 0;
  v_all jsonb := '{"runs": [], "queues": [], "count": 0, "rings": []}';
BEGIN
  FOR v_run IN
    SELECT DISTINCT found.run_id FROM (
      SELECT s.run_id FROM steps s
       WHERE s.status = 'running'
         AND CASE WHEN p_session IS NULL
                  THEN s.lease_expires_at < clock_timestamp() OR s.step_deadline_at < clock_timestamp()
                  ELSE s.worker_session IN (
                    SELECT p_session UNION ALL
                    SELECT w.id FROM worker_sessions w WHERE w.parent_id = p_session AND w.ended_at IS NULL) END
       LIMIT p_limit) AS found
     ORDER BY found.run_id
  LOOP
    BEGIN
      v_one := engine.give_back(p_session, p_crashed, p_limit, v_run);
      v_all := jsonb_build_object(
        'runs', (v_all -> 'runs') || (v_one -> 'runs'), 'queues', (v_all -> 'queues') || (v_one -> 'queues'),
        'count', (v_all ->> 'count')::int + (v_one ->> 'count')::int, 'rings', (v_all -> 'rings') || (v_one -> 'rings'));
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      NULL;  -- what this run had changed is undone
    END;
  END LOOP;
  IF p_session IS NOT NULL THEN
    SELECT count(*) INTO v_left FROM steps s
      WHERE s.status = 'running' AND s.worker_session IN (
        SELECT p_session UNION ALL SELECT w.id FROM worker_sessions w WHERE w.parent_id = p_session);
    UPDATE worker_sessions SET ended_at = clock_timestamp()
     WHERE (id = p_session OR parent_id = p_session) AND ended_at IS NULL AND v_left = 0;
  END IF;
  RETURN v_all || jsonb_build_object('left', v_left);
END $$;
