CREATE OR REPLACE FUNCTION engine.end_frames(p_steps uuid[], p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- The end of frames that needs no expression: each of these steps has just succeeded and was the last of its frame, as
-- all others lead to it, so that the frame ends with its output. The frames that may start now do: up to p_limit for
-- each `map`, their first steps ready. What `engine/frames.py` would do; a property test holds both to it.
-- The caller holds the locks of the runs.
-- Returns {ready: [step ids], runs: [their runs], left: [runs to be looked at in a transaction of their own], events}.
DECLARE
  v_map record;
  v_woken jsonb;
  v_opened jsonb;
  v_started jsonb;
  v_ready jsonb := '[]';
  v_runs uuid[] := '{}';
  v_left uuid[] := '{}';
  v_events jsonb := '[]';
BEGIN
  FOR v_map IN
    SELECT p.id, p.run_id, p.finished_at IS NULL AS wanted,
           jsonb_agg(jsonb_build_object('no', s.frame_no, 'status', 'succeeded', 'output', s.output,
                                        'labels', s.labels) ORDER BY s.frame_no) AS frames
      FROM steps s JOIN steps p ON p.id = s.parent_id
     WHERE s.id = ANY (p_steps)
     GROUP BY p.id ORDER BY p.run_id, p.id LOOP
    IF NOT v_map.wanted THEN  -- the map has ended without its frames: this may have been the last open step
      v_left := v_left || v_map.run_id;
      CONTINUE;
    END IF;
    v_woken := engine.close_frames(v_map.id, v_map.frames);
    IF v_woken <> '[]' THEN
      v_events := v_events || v_woken;
      v_ready := v_ready || to_jsonb(v_map.id);
      v_runs := v_runs || v_map.run_id;
      CONTINUE;
    END IF;
    v_opened := engine.open_frames(v_map.id, p_limit);
    IF v_opened -> 'frames' = '[]' THEN
      CONTINUE;
    END IF;
    WITH ready AS (
      UPDATE steps s SET status = 'ready', ready_at = clock_timestamp(), not_before = clock_timestamp(),
                         fails_at = clock_timestamp() + s.deadline
       WHERE s.parent_id = v_map.id AND s.needs = '{}' AND s.status = 'pending'
         AND s.frame_no = ANY (ARRAY(SELECT f::bigint FROM jsonb_array_elements_text(v_opened -> 'frames') f))
      RETURNING s.*)
    SELECT jsonb_build_object(
             'ready', jsonb_agg(r.id ORDER BY r.frame_no, r.position),
             'events', jsonb_agg(engine.step_event(r, 'step.ready', jsonb_build_object('ready_at', r.ready_at))
                                 ORDER BY r.frame_no, r.position))
      INTO v_started FROM ready r;
    v_ready := v_ready || (v_started -> 'ready');
    v_events := v_events || (v_started -> 'events');
    v_runs := v_runs || v_map.run_id;
    IF (v_opened ->> 'more')::boolean THEN
      v_left := v_left || v_map.run_id;
    END IF;
  END LOOP;
  RETURN jsonb_build_object('ready', v_ready, 'runs', to_jsonb(v_runs), 'left', to_jsonb(v_left), 'events', v_events);
END $$;
