CREATE OR REPLACE FUNCTION engine.hold_lease(p_step uuid, p_attempt bigint, p_token uuid) RETURNS steps
LANGUAGE plpgsql AS $$
-- Locks the step for a worker that still holds it, and returns it. The first statement of what a worker writes;
-- the second, after the run's lock, where the run may advance.
-- Raises SF001: the step was taken over, finished, or given back meanwhile.
DECLARE
  v_step steps;
BEGIN
  SELECT * INTO v_step FROM steps s
    WHERE s.id = p_step AND s.attempt = p_attempt AND s.claim_token = p_token AND s.status = 'running'
    FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'step % is no longer held by attempt %', p_step, p_attempt USING ERRCODE = 'SF001';
  END IF;
  RETURN v_step;
END $$;
