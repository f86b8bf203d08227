CREATE OR REPLACE FUNCTION engine.hand_over(p_finished uuid[], p_runs uuid[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- The part of T_ADVANCE that needs no expression: dependents without a condition whose needs have all succeeded
-- become ready, and a run without an open step ends. The caller holds the locks of the runs.
-- What `engine/decide.py` would decide for the same steps; a property test holds both to it.
-- Returns {ready: [step ids], parents: [the steps that wait for the runs that have ended], events}.
DECLARE
  v_ready jsonb;
  v_events jsonb;
  v_ended jsonb;
  v_parents jsonb;
BEGIN
  WITH next AS (
    SELECT DISTINCT unnest(s.dependents) AS id FROM steps s WHERE s.id = ANY (p_finished)),
  ready AS (
    UPDATE steps s SET status = 'ready', ready_at = clock_timestamp(), not_before = clock_timestamp()
      FROM next
     WHERE s.id = next.id AND s.status = 'pending' AND s.mechanical
       AND NOT EXISTS (SELECT 1 FROM steps n WHERE n.id = ANY (s.needs) AND n.status <> 'succeeded')
    RETURNING s.*)
  SELECT jsonb_agg(r.id ORDER BY r.position),
         jsonb_agg(engine.step_event(r, 'step.ready', jsonb_build_object('ready_at', r.ready_at)) ORDER BY r.position)
    INTO v_ready, v_events FROM ready r;

  WITH ended AS (
    UPDATE runs r
       SET finished_at = clock_timestamp(),
           status = CASE WHEN r.status = 'cancelling' THEN 'cancelled'
                         WHEN f.id IS NOT NULL THEN 'failed' ELSE 'succeeded' END,
           output = CASE WHEN r.status = 'running' AND f.id IS NULL THEN (
             SELECT coalesce(jsonb_object_agg(s.node_key, s.output), '{}') FROM steps s
              WHERE s.run_id = r.id AND s.dependents = '{}' AND s.status = 'succeeded'
                AND s.parent_id IS NULL AND s.undo_of IS NULL) END,
           error = CASE WHEN r.status = 'running' AND f.id IS NOT NULL THEN engine.run_error(f.node_key, f.error)
                        ELSE r.error END
      FROM unnest(p_runs) AS u (id)
      LEFT JOIN LATERAL (
        SELECT s.id, s.node_key, s.error FROM steps s WHERE s.run_id = u.id AND s.status = 'failed'
           AND s.on_error = 'fail' AND s.parent_id IS NULL AND s.undo_of IS NULL
         ORDER BY s.position LIMIT 1) f ON true
     WHERE r.id = u.id AND r.status IN ('running', 'cancelling') AND NOT r.has_undo
       AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.run_id = u.id
                          AND s.status IN ('pending', 'ready', 'running', 'waiting', 'uncertain'))
    RETURNING r.*)
  SELECT jsonb_agg(jsonb_build_object('run_id', e.id, 'kind', 'run.' || e.status, 'data', jsonb_strip_nulls(
           jsonb_build_object('status', e.status, 'error', e.error, 'finished_at', e.finished_at)))),
         jsonb_agg(e.parent_step_id) FILTER (WHERE e.parent_step_id IS NOT NULL)
    INTO v_ended, v_parents FROM ended e;
  RETURN jsonb_build_object('ready', coalesce(v_ready, '[]'), 'parents', coalesce(v_parents, '[]'),
                            'events', coalesce(v_events, '[]') || coalesce(v_ended, '[]'));
END $$;
