CREATE OR REPLACE FUNCTION engine.charge(p_call calls, p_actual bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
-- Ends the hold of the last send of a call and returns what was charged. p_actual NULL: the answer was lost, so the
-- held bound is presumed spent. 0: nothing was spent, the hold is released. An amount above the bound is charged all
-- the same, also where the bound was nothing and nothing was held; the budget may then be overrun, and nothing more fits.
DECLARE
  v_hold reservations;
  v_amount bigint;
BEGIN
  SELECT * INTO v_hold FROM reservations
    WHERE call_id = p_call.id AND send_no = p_call.sends AND status = 'held' FOR UPDATE;
  IF NOT FOUND THEN
    IF coalesce(p_actual, 0) = 0 THEN
      RETURN 0;
    END IF;
    INSERT INTO reservations (call_id, send_no, project_id, run_id, budget_ids, amount_micros, status)
    SELECT p_call.id, p_call.sends, p_call.project_id, p_call.run_id, array_agg(b.id ORDER BY b.id), 0, 'held'
      FROM runs r JOIN budgets b ON b.scope = 'run' AND b.scope_id = ANY (r.lineage || r.id)
     WHERE r.id = p_call.run_id
    ON CONFLICT DO NOTHING RETURNING * INTO v_hold;
    IF NOT FOUND THEN
      RETURN 0;
    END IF;
  END IF;
  v_amount := coalesce(p_actual, v_hold.amount_micros);
  UPDATE reservations
     SET status = CASE WHEN v_amount = 0 THEN 'released' ELSE 'settled' END,
         actual_micros = nullif(v_amount, 0), ended_at = clock_timestamp()
   WHERE call_id = v_hold.call_id AND send_no = v_hold.send_no;
  PERFORM 1 FROM budgets WHERE id = ANY (v_hold.budget_ids) ORDER BY id FOR UPDATE;
  UPDATE budgets
     SET reserved_micros = reserved_micros - v_hold.amount_micros, spent_micros = spent_micros + v_amount
   WHERE id = ANY (v_hold.budget_ids);
  IF v_amount > 0 THEN
    INSERT INTO ledger_entries (id, project_id, budget_id, run_id, call_id, send_no, amount_micros, kind)
    SELECT gen_random_uuid(), v_hold.project_id, b, v_hold.run_id, v_hold.call_id, v_hold.send_no, v_amount,
           CASE WHEN p_actual IS NULL THEN 'presumed' ELSE 'actual' END
      FROM unnest(v_hold.budget_ids) b;
  END IF;
  RETURN v_amount;
END $$;
