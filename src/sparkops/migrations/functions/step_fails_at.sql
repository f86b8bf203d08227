CREATE OR REPLACE FUNCTION engine.step_fails_at(p_step steps, p_now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql AS $$
-- When the deadline of this step is over, as things stand at p_now; NULL: it has none, or has not been ready. The time
-- of halts is added here, or where it is written: whoever writes it sets clock_from to the same p_now.
BEGIN
  IF p_step.fails_at IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN p_step.fails_at + engine.stood(
    p_step.project_id, coalesce(p_step.clock_from, p_step.fails_at - p_step.deadline), p_now);
END $$;
