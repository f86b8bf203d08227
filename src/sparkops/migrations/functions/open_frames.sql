CREATE OR REPLACE FUNCTION engine.open_frames(p_step uuid, p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Starts the next frames of a `map` or `loop`, as many as may go on at once and p_limit at most; their steps are left
-- to the caller, who holds the lock of the run. Nothing starts once a failure has stopped the map, or its step ended.
-- Returns {frames: [their numbers], more: whether others could start now, labels: those of what the frames see}.
DECLARE
  v_expansion record;
  v_first bigint;
  v_room bigint;
  v_many bigint;
BEGIN
  SELECT e.*, s.labels INTO v_expansion
    FROM expansions e JOIN steps s ON s.id = e.step_id AND s.finished_at IS NULL
   WHERE e.step_id = p_step AND NOT (e.stop_on_error AND e.failed > 0);
  IF NOT FOUND THEN
    RETURN '{"frames": [], "more": false}';
  END IF;
  v_room := least(v_expansion.concurrency - (v_expansion.started - v_expansion.ended),
                  v_expansion.expanded - v_expansion.started);
  v_many := least(v_room, p_limit);
  IF v_many <= 0 THEN
    RETURN '{"frames": [], "more": false}';
  END IF;
  v_first := v_expansion.started + (v_expansion.total IS NULL)::int;
  UPDATE frames SET status = 'open'
   WHERE parent_id = p_step AND frame_no >= v_first AND frame_no < v_first + v_many AND status = 'waiting';
  UPDATE expansions SET started = started + v_many WHERE step_id = p_step;
  RETURN jsonb_build_object(
    'frames', (SELECT jsonb_agg(n) FROM generate_series(v_first, v_first + v_many - 1) n), 'more', v_room > v_many,
    'labels', v_expansion.labels);
END $$;
