CREATE OR REPLACE FUNCTION engine.event_came(
  p_step steps, p_name text, p_after timestamptz, p_until timestamptz) RETURNS boolean
LANGUAGE plpgsql AS $$
-- Whether an event of this name was received that the step has not looked at and that still counts for it. The lock is
-- that of `receive_event`: an event is either seen here, or finds the step waiting.
BEGIN
  PERFORM pg_advisory_xact_lock_shared(engine.event_lock(p_step.project_id, p_name));
  RETURN EXISTS (
    SELECT 1 FROM received_events e
     WHERE e.project_id = p_step.project_id AND e.name = p_name AND e.received_at <= p_until
       AND CASE WHEN p_after IS NOT NULL THEN e.received_at > p_after
                ELSE e.received_at >= (SELECT r.created_at FROM runs r WHERE r.id = p_step.run_id) END);
END $$;
