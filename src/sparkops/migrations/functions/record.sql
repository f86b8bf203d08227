CREATE OR REPLACE FUNCTION engine.record(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_RECORD. The outcomes of calls that a step has sent. p: {step_id, attempt, token, results: [as record_calls]}.
-- A call that must not be repeated and whose outcome is unknown parks the step for a person.
-- Returns {rings}. Raises SF001.
DECLARE
  v_step steps := engine.hold_lease((p ->> 'step_id')::uuid, (p ->> 'attempt')::bigint, (p ->> 'token')::uuid);
  v_events jsonb;
BEGIN
  PERFORM engine.lock_budgets(ARRAY(SELECT (r ->> 'call_id')::uuid FROM jsonb_array_elements(p -> 'results') r));
  v_events := engine.record_calls(v_step, p -> 'results');
  IF p -> 'results' @? '$[*] ? (@.status == "unknown")' THEN
    v_events := v_events || engine.park(v_step, 'uncertain', NULL);
  END IF;
  RETURN jsonb_build_object('rings', engine.emit(v_events));
END $$;
