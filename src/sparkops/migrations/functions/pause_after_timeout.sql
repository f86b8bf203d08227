CREATE OR REPLACE FUNCTION engine.pause_after_timeout(p_step steps) RETURNS interval
LANGUAGE plpgsql AS $$
-- How long a step rests after an attempt that took too long, before the next; NULL: there is none, because its
-- attempts are used up, its policy does not retry timeouts, or the next would come after its deadline.
-- The formula of `engine/retry.py`; a test compares them. p_step: as it was before this failure.
DECLARE
  -- Beyond 2**40 every pause is longer than any `max_backoff`; higher powers would only overflow.
  v_ceiling interval := make_interval(secs => least(
    extract(epoch FROM p_step.backoff)::float8 * power(2::float8, least(p_step.failures, 40)),
    extract(epoch FROM p_step.max_backoff)::float8));
  v_pause interval := CASE WHEN p_step.jitter THEN v_ceiling * random() ELSE v_ceiling END;
BEGIN
  IF p_step.failures + 1 >= p_step.max_attempts OR NOT p_step.retries_timeouts
     OR coalesce(clock_timestamp() + v_pause >= engine.step_fails_at(p_step, clock_timestamp()), false) THEN
    RETURN NULL;
  END IF;
  RETURN v_pause;
END $$;
