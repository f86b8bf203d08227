CREATE OR REPLACE FUNCTION engine.reserve(
  p_step steps, p_call uuid, p_send bigint, p_terms jsonb, p_consented uuid[], p_budgets uuid[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Holds what a send may cost at most over every budget that it counts against, or nothing. p_terms: {bound_micros,
-- bound_tokens, agent: the name of the agent that acts}. p_consented: the definitions that people let this one call pass
-- where they ask. p_budgets: those that it counts against, which the caller has locked; NULL: nothing has to be held.
-- Returns {verdict: held | deny | pause | ask, events}; what does not fit also has `reason`, and a pause `waits_for`: what
-- `wait` takes. Of several thresholds in the way the one that denies counts first, then one that pauses.
DECLARE
  v_micros bigint := (p_terms ->> 'bound_micros')::bigint;
  v_tokens bigint := coalesce((p_terms ->> 'bound_tokens')::bigint, 0);
  v_over jsonb;
  v_way record;
  v_let boolean := false;
  v_events jsonb := '[]';
BEGIN
  IF p_budgets IS NULL OR NOT engine.costs(p_step.project_id, p_terms) THEN
    RETURN '{"verdict": "held", "events": []}';
  END IF;
  SELECT jsonb_agg(to_jsonb(o)) INTO v_over FROM engine.budget_over(p_budgets, v_micros, v_tokens, 1, 0) o;
  IF v_over IS NOT NULL THEN
    SELECT o.*, coalesce(d.name, 'of this run') AS name, d.id AS definition_id, b.ends_at INTO v_way
      FROM jsonb_to_recordset(v_over) AS o (
        id uuid, kind text, percent bigint, action text, "of" bigint, used bigint, beyond boolean)
      JOIN budgets b ON b.id = o.id LEFT JOIN budget_definitions d ON d.id = b.definition_id
     WHERE o.beyond AND o.action <> 'notify' AND NOT (o.action = 'require_approval' AND coalesce(d.id = ANY (p_consented), false))
     ORDER BY array_position(ARRAY['deny', 'pause', 'require_approval'], o.action), o.percent DESC, o.id LIMIT 1;
    IF FOUND THEN
      RETURN jsonb_build_object(
        'verdict', CASE v_way.action WHEN 'require_approval' THEN 'ask' ELSE v_way.action END,
        'reason', engine.budget_reason(v_way.name, v_way.kind, v_way.of, v_way.used, CASE v_way.kind
                    WHEN 'money' THEN v_micros WHEN 'tokens' THEN v_tokens ELSE 1 END, v_way.percent),
        'waits_for', CASE WHEN v_way.action = 'pause' THEN jsonb_strip_nulls(jsonb_build_object(
          'kind', 'budget', 'budgets', jsonb_build_array(v_way.id), 'budget_id', v_way.definition_id, 'name', v_way.name,
          'micros', v_micros, 'tokens', v_tokens, 'until', v_way.ends_at)) END,
        'events', engine.budget_notices(p_step.run_id, p_step.id, jsonb_build_array(jsonb_build_object(
          'id', v_way.id, 'kind', v_way.kind, 'percent', v_way.percent, 'action', v_way.action))));
    END IF;
    v_let := v_over @? '$[*] ? (@.action == "require_approval" && @.beyond == true)';
    v_events := engine.budget_notices(p_step.run_id, p_step.id, jsonb_path_query_array(
      v_over, '$[*] ? (@.action == "notify" || @.action == "require_approval")'));
  END IF;
  UPDATE budgets SET reserved_micros = reserved_micros + v_micros, reserved_tokens = reserved_tokens + v_tokens,
                     calls = calls + 1, changed_at = clock_timestamp()
   WHERE id = ANY (p_budgets);
  INSERT INTO reservations (call_id, send_no, project_id, run_id, budget_ids, amount_micros, amount_tokens, status, consented)
  VALUES (p_call, p_send, p_step.project_id, p_step.run_id, p_budgets, v_micros, v_tokens, 'held', v_let);
  RETURN jsonb_build_object('verdict', 'held', 'events', v_events);
END $$;
