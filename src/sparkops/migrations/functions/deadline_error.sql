CREATE OR REPLACE FUNCTION engine.deadline_error(p_step steps) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
-- Why a step failed that was not done when its deadline was over.
  SELECT jsonb_build_object('code', 'deadline', 'message', format(
    'the step was not done within its deadline of %s s', extract(epoch FROM p_step.deadline)::float8));
$$;
