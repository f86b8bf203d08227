CREATE OR REPLACE FUNCTION engine.run_error(p_key text, p_error jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
-- Why a run failed, in the words of its first failed step.
  SELECT jsonb_build_object('code', 'step-failed', 'step', p_key,
    'message', format('Step %s failed: %s', p_key, coalesce(p_error ->> 'message', p_error ->> 'code', 'unknown error')));
$$;
