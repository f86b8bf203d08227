CREATE OR REPLACE FUNCTION engine.record_calls(p_step steps, p_results jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Writes the outcomes of prepared calls and settles what they held. p_results: [{call_id, status: done | failed |
-- unknown, response, error, usage, cost_micros, labels: missing where there are none}]; a cost of null means that nobody knows: the bound is charged.
-- The caller holds the lease of p_step, and has locked the budgets over which these calls are held. What it has recorded before, and got no answer, is passed over. Returns the events.
DECLARE
  v_result jsonb;
  v_call calls;
  v_charged bigint;
  v_events jsonb := '[]';
BEGIN
  FOR v_result IN SELECT * FROM jsonb_array_elements(p_results) LOOP
    SELECT * INTO v_call FROM calls
      WHERE run_id = p_step.run_id AND id = (v_result ->> 'call_id')::uuid AND step_id = p_step.id FOR UPDATE;
    CONTINUE WHEN v_call.status IN ('done', 'failed') AND v_call.attempt = p_step.attempt;
    v_charged := engine.charge(
      v_call, (v_result ->> 'cost_micros')::bigint,
      (v_result -> 'usage' ->> 'input_tokens')::bigint + (v_result -> 'usage' ->> 'output_tokens')::bigint);
    UPDATE calls
       SET status = v_result ->> 'status', response = nullif(v_result -> 'response', 'null'),
           error = nullif(v_result -> 'error', 'null'), usage = nullif(v_result -> 'usage', 'null'),
           cost_micros = cost_micros + v_charged, finished_at = clock_timestamp(),
           labels = CASE WHEN v_result ? 'labels' THEN ARRAY(SELECT jsonb_array_elements_text(v_result -> 'labels'))
                         ELSE labels END
     WHERE run_id = v_call.run_id AND id = v_call.id
     RETURNING * INTO v_call;
    v_events := v_events || jsonb_build_array(engine.call_event(p_step, v_call));
  END LOOP;
  RETURN v_events;
END $$;
