CREATE OR REPLACE FUNCTION engine.retire_runs(p_project uuid, p_after uuid, p_limit int) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Removes runs of a project that ended longer ago than it keeps them, the oldest first: each with the runs below it, all
-- of which have ended, and about p_limit rows of steps at a time. What they cost stays in the ledger.
-- p_after: the last run that was looked at, NULL at first. Returns {removed, last}; last NULL: that was all.
DECLARE
  v_before timestamptz := clock_timestamp() - make_interval(days => (
    SELECT keep_runs_days::int FROM projects WHERE id = p_project));
  v_root uuid;
  v_last uuid;
  v_family uuid[];
  v_open boolean;
  v_rows bigint;
  v_runs uuid[] := '{}';
  v_sum bigint := 0;
BEGIN
  FOR v_root IN
    SELECT id FROM runs
     WHERE project_id = p_project AND finished_at < v_before AND parent_run_id IS NULL AND (p_after IS NULL OR id > p_after)
     ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED
  LOOP
    WITH RECURSIVE family AS (
      SELECT id, finished_at, step_count FROM runs WHERE id = v_root
      UNION ALL
      SELECT r.id, r.finished_at, r.step_count FROM runs r JOIN family f ON r.parent_run_id = f.id)
    SELECT array_agg(id), bool_or(finished_at IS NULL), sum(step_count + 1) INTO v_family, v_open, v_rows FROM family;
    v_last := v_root;
    IF NOT v_open THEN
      v_runs := v_runs || v_family;
      v_sum := v_sum + v_rows;
    END IF;
    EXIT WHEN v_sum >= p_limit;
  END LOOP;
  IF cardinality(v_runs) > 0 THEN
    PERFORM engine.drop_runs(v_runs);
    PERFORM engine.write_audit(p_project, 'worker', 'retention.runs', 'project:' || p_project,
      jsonb_build_object('removed', cardinality(v_runs), 'ended_before', v_before));
  END IF;
  RETURN jsonb_build_object('removed', cardinality(v_runs), 'last', v_last);
END $$;
