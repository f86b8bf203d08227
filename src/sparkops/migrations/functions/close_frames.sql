CREATE OR REPLACE FUNCTION engine.close_frames(p_step uuid, p_frames jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Ends started frames of a `map` or `loop`, counts them, and wakes its step if that has something to do again.
-- p_frames: [{no, status: succeeded | failed, output, error, labels: missing where there are none}]. A frame that has ended is left alone, so that twice is
-- harmless. The caller holds the lock of the run. Returns the events.
DECLARE
  v_step steps;
  v_ended bigint;
  v_failed bigint;
BEGIN
  WITH closed AS (
    UPDATE frames f
       SET status = c.status, output = nullif(c.output, 'null'), error = nullif(c.error, 'null'),
           labels = coalesce(c.labels, '{}'), finished_at = clock_timestamp()
      FROM jsonb_to_recordset(p_frames) AS c (no bigint, status text, output jsonb, error jsonb, labels text[])
     WHERE f.parent_id = p_step AND f.frame_no = c.no AND f.status = 'open'
    RETURNING f.status)
  SELECT count(*), count(*) FILTER (WHERE status = 'failed') INTO v_ended, v_failed FROM closed;
  IF v_ended = 0 THEN
    RETURN '[]';
  END IF;
  UPDATE expansions SET ended = ended + v_ended, failed = failed + v_failed WHERE step_id = p_step;
  IF NOT engine.frames_ended(p_step) THEN
    RETURN '[]';
  END IF;
  -- Locked before it is looked at: a step that is about to wait has not seen these frames end.
  SELECT * INTO v_step FROM steps WHERE id = p_step FOR UPDATE;
  RETURN engine.wake(v_step);
END $$;
