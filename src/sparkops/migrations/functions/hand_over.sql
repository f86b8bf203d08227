CREATE OR REPLACE FUNCTION engine.hand_over(p_next uuid[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- The part of T_ADVANCE that needs no expression: of these steps, those without a condition whose needs have all
-- succeeded become ready. The caller holds the locks of their runs.
-- What `engine/decide.py` would decide for the same steps; a property test holds both to it.
-- Returns {ready: [step ids], runs: [their runs], events}.
DECLARE
  v_ready jsonb;
  v_runs jsonb;
  v_events jsonb;
BEGIN
  WITH ready AS (
    UPDATE steps s SET status = 'ready', ready_at = clock_timestamp(), not_before = clock_timestamp(),
                       fails_at = clock_timestamp() + s.deadline
     WHERE s.id = ANY (p_next) AND s.status = 'pending' AND s.mechanical
       AND NOT EXISTS (SELECT 1 FROM steps n WHERE n.id = ANY (s.needs) AND n.status <> 'succeeded')
    RETURNING s.*)
  SELECT jsonb_agg(r.id ORDER BY r.position), jsonb_agg(DISTINCT r.run_id),
         jsonb_agg(engine.step_event(r, 'step.ready', jsonb_build_object('ready_at', r.ready_at)) ORDER BY r.position)
    INTO v_ready, v_runs, v_events FROM ready r;
  RETURN jsonb_build_object('ready', coalesce(v_ready, '[]'), 'runs', coalesce(v_runs, '[]'),
                            'events', coalesce(v_events, '[]'));
END $$;
