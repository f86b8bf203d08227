CREATE OR REPLACE FUNCTION engine.by_budget(p_call jsonb, p_held jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
-- What is decided on a call that does not fit a budget which denies or asks: no policy's rule did so, and nobody in
-- particular has to agree. p_call: the call as the rules judged it; p_held: what `reserve` said. Returns p_call with it.
  SELECT p_call || jsonb_build_object(
    'outcome', CASE p_held ->> 'verdict' WHEN 'ask' THEN 'require_approval' ELSE 'deny' END,
    'rule', 'budget', 'reason', p_held -> 'reason',
    'policy_id', NULL, 'rule_version', NULL, 'severity', NULL, 'demands', NULL);
$$;
