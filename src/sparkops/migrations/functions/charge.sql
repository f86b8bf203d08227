CREATE OR REPLACE FUNCTION engine.charge(p_call calls, p_actual bigint, p_tokens bigint DEFAULT 0) RETURNS bigint
LANGUAGE plpgsql AS $$
-- Ends the hold of the last send of a call and returns what was charged. p_actual NULL: the answer was lost, so the
-- held bound is presumed spent, of tokens too. 0, and no tokens: nothing was spent, the hold is released. An amount
-- above the bound is charged all the same, also where the bound was nothing and nothing was held; the budget may then
-- be overrun, and nothing more fits. The caller has locked the budgets over which the call is held.
DECLARE
  v_hold reservations;
  v_amount bigint;
  v_tokens bigint;
  v_budgets uuid[];
BEGIN
  SELECT * INTO v_hold FROM reservations
    WHERE call_id = p_call.id AND send_no = p_call.sends AND status = 'held' FOR UPDATE;
  IF NOT FOUND THEN
    IF coalesce(p_actual, 0) = 0 THEN
      RETURN 0;
    END IF;
    v_budgets := engine.budgets_of(p_call.run_id, NULL);
    INSERT INTO reservations (call_id, send_no, project_id, run_id, budget_ids, amount_micros, status)
    SELECT p_call.id, p_call.sends, p_call.project_id, p_call.run_id, v_budgets, 0, 'held'
    ON CONFLICT DO NOTHING RETURNING * INTO v_hold;
    IF NOT FOUND THEN
      RETURN 0;
    END IF;
    PERFORM engine.lock_budgets('{}', v_budgets);
    UPDATE budgets SET calls = calls + 1 WHERE id = ANY (v_budgets);
  END IF;
  v_amount := coalesce(p_actual, v_hold.amount_micros);
  v_tokens := CASE WHEN p_actual IS NULL THEN v_hold.amount_tokens ELSE coalesce(p_tokens, 0) END;
  UPDATE reservations
     SET status = CASE WHEN v_amount = 0 AND v_tokens = 0 THEN 'released' ELSE 'settled' END,
         actual_micros = CASE WHEN v_amount > 0 OR v_tokens > 0 THEN v_amount END,
         actual_tokens = CASE WHEN v_amount > 0 OR v_tokens > 0 THEN v_tokens END, ended_at = clock_timestamp()
   WHERE call_id = v_hold.call_id AND send_no = v_hold.send_no;
  UPDATE budgets
     SET reserved_micros = reserved_micros - v_hold.amount_micros, spent_micros = spent_micros + v_amount,
         reserved_tokens = reserved_tokens - v_hold.amount_tokens, spent_tokens = spent_tokens + v_tokens,
         changed_at = clock_timestamp()
   WHERE id = ANY (v_hold.budget_ids);
  IF v_amount > 0 OR v_tokens > 0 THEN
    INSERT INTO ledger_entries (id, project_id, budget_id, run_id, call_id, send_no, amount_micros, tokens, kind)
    SELECT gen_random_uuid(), v_hold.project_id, b, v_hold.run_id, v_hold.call_id, v_hold.send_no, v_amount, v_tokens,
           CASE WHEN p_actual IS NULL THEN 'presumed' ELSE 'actual' END
      FROM unnest(v_hold.budget_ids) b;
  END IF;
  RETURN v_amount;
END $$;
