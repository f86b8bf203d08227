CREATE OR REPLACE FUNCTION engine.end_runs(p_runs uuid[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- The end of T_ADVANCE that needs no expression: of these runs, whose locks the caller holds, those without an open step
-- end. What `engine/decide.py` would decide; a property test holds both to it. A run that has effects to take back, or
-- an output to evaluate, is left to `decide` unless it simply succeeds.
-- So is one whose output has to be judged.
-- Returns {parents: [the steps that wait for the runs that have ended], left: [runs to be advanced, so that they are
-- judged and end], events}.
DECLARE
  v_done uuid[];
  v_judged uuid[] := '{}';
  v_events jsonb;
  v_parents jsonb;
BEGIN
  v_done := ARRAY(
    SELECT u.id FROM unnest(p_runs) AS u (id)
     WHERE NOT EXISTS (SELECT 1 FROM steps s WHERE s.run_id = u.id
                          AND s.status IN ('pending', 'ready', 'running', 'waiting', 'uncertain')));
  IF v_done = '{}' THEN
    RETURN '{"parents": [], "left": [], "events": []}';
  END IF;
  IF EXISTS (SELECT 1 FROM policies WHERE 'output' = ANY (subjects))
     OR EXISTS (SELECT 1 FROM runs r JOIN projects p ON p.id = r.project_id
                 WHERE r.id = ANY (v_done) AND p.default_effect <> 'allow') THEN
    v_judged := ARRAY(
      SELECT r.id FROM runs r WHERE r.id = ANY (v_done) AND r.status = 'running' AND engine.judges_output(r.project_id));
  END IF;
  WITH ended AS (
    UPDATE runs r
       SET finished_at = clock_timestamp(),
           status = CASE WHEN r.status = 'cancelling' THEN 'cancelled'
                         WHEN f.key IS NOT NULL THEN 'failed' ELSE 'succeeded' END,
           output = CASE WHEN r.status = 'running' AND f.key IS NULL THEN (
             SELECT coalesce(jsonb_object_agg(s.node_key, s.output), '{}') FROM steps s
              WHERE s.run_id = r.id AND s.dependents = '{}' AND s.parent_id IS NULL
                AND s.undo_of IS NULL AND s.status = 'succeeded') END,
           error = CASE WHEN r.status = 'running' AND f.key IS NOT NULL THEN engine.run_error(f.key, f.error)
                        ELSE r.error END
      FROM unnest(v_done) AS u (id)
      LEFT JOIN LATERAL (
        SELECT s.node_key AS key, s.error FROM steps s
         WHERE s.run_id = u.id AND s.status = 'failed' AND s.on_error = 'fail'
           AND s.parent_id IS NULL AND s.undo_of IS NULL
         ORDER BY s.position LIMIT 1) f ON true
     WHERE r.id = u.id AND r.status IN ('running', 'cancelling') AND r.id <> ALL (v_judged)
       AND NOT (r.has_undo AND (r.status = 'cancelling' OR f.key IS NOT NULL))
    RETURNING r.*)
  SELECT jsonb_agg(jsonb_build_object('run_id', e.id, 'kind', 'run.' || e.status, 'data', jsonb_strip_nulls(
           jsonb_build_object('status', e.status, 'error', e.error, 'finished_at', e.finished_at)))),
         jsonb_agg(e.parent_step_id) FILTER (WHERE e.parent_step_id IS NOT NULL)
    INTO v_events, v_parents FROM ended e;
  RETURN jsonb_build_object('parents', coalesce(v_parents, '[]'), 'left', to_jsonb(v_judged), 'events', coalesce(v_events, '[]'));
END $$;
