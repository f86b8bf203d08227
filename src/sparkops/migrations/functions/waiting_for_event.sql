CREATE OR REPLACE FUNCTION engine.waiting_for_event(p_event uuid, p_after uuid, p_limit int) RETURNS jsonb
LANGUAGE sql STABLE AS $$
-- The next steps after p_after, by their ids, that wait for a received event and for which it counts, each with what
-- its filter may read: [{step_id, run_id, project_id, key, workflow_version_id, input, steps, frame}].
  SELECT coalesce(jsonb_agg(jsonb_build_object(
      'step_id', w.id, 'run_id', w.run_id, 'project_id', w.project_id, 'key', w.node_key,
      'workflow_version_id', w.workflow_version_id,
      'input', CASE WHEN w.reads_input THEN w.input END,
      'frame', CASE WHEN w.reads_frame THEN engine.frame_view(w.parent_id, w.frame_no) END,
      'steps', (SELECT coalesce(jsonb_object_agg(n.node_key, jsonb_build_object(
                         'status', n.status, 'output', n.output)), '{}')
                  FROM steps n WHERE n.id = ANY (w.reads))) ORDER BY w.id), '[]')
    FROM (
      SELECT s.*, r.workflow_version_id, r.input
        FROM received_events e
        JOIN steps s ON s.project_id = e.project_id AND s.status = 'waiting' AND s.waiting_for ->> 'kind' = 'event'
                        AND s.waiting_for ->> 'event' = e.name
        JOIN runs r ON r.id = s.run_id
       WHERE e.id = p_event AND s.id > p_after
         AND e.received_at >= r.created_at AND e.received_at <= s.wake_at
       ORDER BY s.id LIMIT p_limit) w;
$$;
