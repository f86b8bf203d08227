CREATE OR REPLACE FUNCTION engine.thin_values(p_project uuid, p_after uuid, p_limit int) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Takes what runs worked with out of those that ended longer ago than the project keeps values: inputs, outputs, items,
-- requests, responses, facts of decisions, files; about p_limit rows of steps at a time. That they happened stays, with
-- every digest, time and cost. Where a column may not be empty it says {"$removed": true}.
-- p_after: the last run that was looked at, NULL at first. Returns {removed, last}; last NULL: that was all.
DECLARE
  v_before timestamptz := clock_timestamp() - make_interval(days => (
    SELECT keep_values_days::int FROM projects WHERE id = p_project));
  v_gone jsonb := '{"$removed": true}';
  v_runs uuid[];
BEGIN
  SELECT array_agg(id ORDER BY id) INTO v_runs FROM (
    SELECT r.id, sum(r.step_count + 1) OVER (ORDER BY r.id) - r.step_count - 1 AS before FROM (
      SELECT r.id, r.step_count FROM runs r LEFT JOIN thinned_runs t ON t.run_id = r.id
       WHERE r.project_id = p_project AND r.finished_at < v_before AND t.values_removed_at IS NULL
         AND (p_after IS NULL OR r.id > p_after)
       ORDER BY r.id LIMIT p_limit) r) s
   WHERE before < p_limit;
  IF v_runs IS NULL THEN
    RETURN jsonb_build_object('removed', 0, 'last', NULL);
  END IF;
  PERFORM 1 FROM runs WHERE id = ANY (v_runs) ORDER BY id FOR UPDATE;
  PERFORM set_config('sparkops.thinning', 'on', true);
  UPDATE runs SET input = v_gone, output = NULL WHERE id = ANY (v_runs);
  UPDATE steps SET output = NULL WHERE run_id = ANY (v_runs) AND output IS NOT NULL;
  UPDATE frames f SET value = NULL, output = NULL FROM steps s
   WHERE f.parent_id = s.id AND s.run_id = ANY (v_runs) AND s.type IN ('map', 'loop');
  UPDATE calls SET request = v_gone, response = NULL
   WHERE run_id = ANY (v_runs) AND status <> 'prepared';
  UPDATE approvals SET proposed_request = v_gone, edited_request = CASE WHEN edited_hash IS NOT NULL THEN v_gone END,
                       outlook = NULL
   WHERE run_id = ANY (v_runs);
  UPDATE policy_decisions SET facts = '{}' WHERE run_id = ANY (v_runs);
  PERFORM set_config('sparkops.thinning', 'off', true);
  DELETE FROM artifacts WHERE run_id = ANY (v_runs);
  INSERT INTO thinned_runs AS t (run_id, project_id, values_removed_at)
  SELECT r.id, p_project, clock_timestamp() FROM unnest(v_runs) r (id)
  ON CONFLICT (run_id) DO UPDATE SET values_removed_at = EXCLUDED.values_removed_at;
  PERFORM engine.write_audit(p_project, 'worker', 'retention.values', 'project:' || p_project, jsonb_build_object(
    'runs', cardinality(v_runs), 'ended_before', v_before));
  RETURN jsonb_build_object('removed', cardinality(v_runs), 'last', v_runs[cardinality(v_runs)]);
END $$;
