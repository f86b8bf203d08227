CREATE OR REPLACE FUNCTION engine.abandon_frames(p_run uuid, p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Ends what is left of the frames of `map` and `loop` steps that have ended without them: steps that have not started
-- are cancelled, running ones asked to stop. Steps that were never started leave no line in the log, which did not know
-- them. The caller holds the lock of the run. Returns {more: there is more than p_limit to do, events}.
DECLARE
  v_step steps;
  v_left int := p_limit;
  v_parents uuid[];
  v_done bigint;
  v_events jsonb := '[]';
BEGIN
  -- Also where all their steps have ended: one that was asked to stop may have been the last.
  UPDATE frames f SET status = 'cancelled', finished_at = clock_timestamp()
    FROM steps p JOIN expansions e ON e.step_id = p.id AND e.ended < e.expanded
   WHERE p.run_id = p_run AND p.type IN ('map', 'loop') AND p.finished_at IS NOT NULL
     AND f.parent_id = p.id AND f.status IN ('waiting', 'open');
  LOOP
    SELECT array_agg(DISTINCT p.id) INTO v_parents
      FROM steps s JOIN steps p ON p.id = s.parent_id
     WHERE s.run_id = p_run AND s.status IN ('pending', 'ready', 'running', 'waiting', 'uncertain')
       AND s.parent_id IS NOT NULL AND p.finished_at IS NOT NULL
       AND NOT (s.status = 'running' AND s.cancel_requested);
    EXIT WHEN v_parents IS NULL;
    IF v_left <= 0 THEN
      RETURN jsonb_build_object('more', true, 'events', v_events);
    END IF;
    UPDATE frames SET status = 'cancelled', finished_at = clock_timestamp()
     WHERE parent_id = ANY (v_parents) AND status IN ('waiting', 'open');
    FOR v_step IN SELECT * FROM steps WHERE parent_id = ANY (v_parents)
                     AND status IN ('ready', 'running', 'waiting', 'uncertain') ORDER BY id FOR UPDATE LOOP
      IF v_step.status = 'running' THEN
        UPDATE steps SET cancel_requested = true WHERE id = v_step.id;
      ELSE
        UPDATE steps SET status = 'cancelled', finished_at = clock_timestamp(), waiting_for = NULL, wake_at = NULL
         WHERE id = v_step.id RETURNING * INTO v_step;
        v_events := v_events || engine.abandon_calls(v_step) || jsonb_build_array(engine.step_event(
          v_step, 'step.cancelled', jsonb_build_object('finished_at', v_step.finished_at)));
      END IF;
    END LOOP;
    WITH never AS (
      SELECT id FROM steps WHERE parent_id = ANY (v_parents) AND status = 'pending' LIMIT v_left),
    cancelled AS (
      UPDATE steps s SET status = 'cancelled', finished_at = clock_timestamp() FROM never WHERE s.id = never.id
      RETURNING 1)
    SELECT count(*) INTO v_done FROM cancelled;
    v_left := v_left - v_done::int;
  END LOOP;
  RETURN jsonb_build_object('more', false, 'events', v_events);
END $$;
