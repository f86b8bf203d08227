CREATE OR REPLACE FUNCTION engine.alone(p_step steps) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
-- Whether this step, when it is claimed, is the only one in its process, so that a death of the process is its own.
-- Two deaths isolate it, in the company of a few that are suspected as well; from the third on it runs alone.
  SELECT p_step.isolate AND p_step.crashes >= 3
$$;
