CREATE OR REPLACE FUNCTION engine.reserve(p_step steps, p_call uuid, p_send bigint, p_amount bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
-- Holds p_amount over every budget that this run counts against, its own and those of the runs above it, or none.
-- False: it does not fit somewhere. What costs nothing holds nothing. The rows are locked in the order of their ids
-- before they are looked at.
DECLARE
  v_budgets uuid[];
  v_runs uuid[];
BEGIN
  IF p_amount = 0 THEN
    RETURN true;
  END IF;
  SELECT lineage || id INTO v_runs FROM runs WHERE id = p_step.run_id;
  PERFORM 1 FROM budgets WHERE scope = 'run' AND scope_id = ANY (v_runs) ORDER BY id FOR UPDATE;
  IF EXISTS (SELECT 1 FROM budgets WHERE scope = 'run' AND scope_id = ANY (v_runs)
                AND spent_micros + reserved_micros + p_amount > limit_micros) THEN
    RETURN false;
  END IF;
  WITH held AS (
    UPDATE budgets SET reserved_micros = reserved_micros + p_amount
     WHERE scope = 'run' AND scope_id = ANY (v_runs) RETURNING id)
  SELECT array_agg(id ORDER BY id) INTO v_budgets FROM held;
  INSERT INTO reservations (call_id, send_no, project_id, run_id, budget_ids, amount_micros, status)
  VALUES (p_call, p_send, p_step.project_id, p_step.run_id, v_budgets, p_amount, 'held');
  RETURN true;
END $$;
