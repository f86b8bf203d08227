CREATE OR REPLACE FUNCTION engine.thin_logs(p_project uuid, p_after uuid, p_limit int) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Removes the logs of runs of a project that ended longer ago than it keeps them, about p_limit lines at a time, and the
-- events from outside of that age, if they came before all runs that go on: no step can still wait for those.
-- p_after: the last run that was looked at, NULL at first. Returns {removed, last}; last NULL: that was all.
DECLARE
  v_before timestamptz := clock_timestamp() - make_interval(days => (
    SELECT keep_log_days::int FROM projects WHERE id = p_project));
  v_runs uuid[];
  v_count bigint;
BEGIN
  SELECT array_agg(id ORDER BY id) INTO v_runs FROM (
    SELECT r.id, sum(c.last_seq) OVER (ORDER BY r.id) - c.last_seq AS before FROM (
      SELECT r.id FROM runs r LEFT JOIN thinned_runs t ON t.run_id = r.id
       WHERE r.project_id = p_project AND r.finished_at < v_before AND t.log_removed_at IS NULL
         AND (p_after IS NULL OR r.id > p_after)
       ORDER BY r.id LIMIT p_limit) r JOIN run_counters c ON c.run_id = r.id) s
   WHERE before < p_limit;
  PERFORM 1 FROM runs WHERE id = ANY (v_runs) ORDER BY id FOR UPDATE;
  PERFORM 1 FROM run_counters WHERE run_id = ANY (v_runs) ORDER BY run_id FOR UPDATE;
  INSERT INTO thinned_runs AS t (run_id, project_id, log_removed_at, log_removed_to)
  SELECT c.run_id, p_project, clock_timestamp(), c.last_seq FROM run_counters c WHERE c.run_id = ANY (v_runs)
  ON CONFLICT (run_id) DO UPDATE SET log_removed_at = EXCLUDED.log_removed_at, log_removed_to = EXCLUDED.log_removed_to;
  DELETE FROM events e USING thinned_runs t
   WHERE e.run_id = ANY (v_runs) AND t.run_id = e.run_id AND e.seq <= t.log_removed_to;
  DELETE FROM received_events WHERE id IN (
    SELECT id FROM received_events
     WHERE project_id = p_project AND received_at < v_before AND matched_at IS NOT NULL
       AND received_at < coalesce((SELECT min(created_at) FROM runs
                                    WHERE project_id = p_project AND finished_at IS NULL), 'infinity')
     LIMIT p_limit);
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_runs IS NOT NULL OR v_count > 0 THEN
    PERFORM engine.write_audit(p_project, 'worker', 'retention.logs', 'project:' || p_project, jsonb_build_object(
      'runs', coalesce(cardinality(v_runs), 0), 'received_events', v_count, 'ended_before', v_before));
  END IF;
  RETURN jsonb_build_object('removed', coalesce(cardinality(v_runs), 0), 'last', v_runs[cardinality(v_runs)]);
END $$;
