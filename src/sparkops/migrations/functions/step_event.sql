CREATE OR REPLACE FUNCTION engine.step_event(p_step steps, p_kind text, p_more jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
-- One line for the log about a step as it now stands, with what else there is to say.
  SELECT jsonb_build_object(
    'run_id', p_step.run_id, 'kind', p_kind, 'step_id', p_step.id,
    'data', jsonb_build_object('key', p_step.node_key, 'status', p_step.status, 'attempt', p_step.attempt)
      || CASE WHEN p_step.parent_id IS NULL THEN '{}' ELSE jsonb_build_object('path', p_step.path) END || p_more);
$$;
