CREATE OR REPLACE FUNCTION engine.call_event(p_step steps, p_call calls) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
-- One line for the log about a call as it now stands.
  SELECT jsonb_build_object(
    'run_id', p_step.run_id, 'kind', 'call.' || p_call.status, 'step_id', p_step.id,
    'data', jsonb_build_object(
      'call_id', p_call.id, 'key', p_step.node_key, 'seq', p_call.seq, 'kind', p_call.kind, 'name', p_call.name,
      'status', p_call.status, 'cost_micros', p_call.cost_micros));
$$;
