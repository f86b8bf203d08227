CREATE OR REPLACE FUNCTION engine.lock_budgets(p_calls uuid[], p_budgets uuid[] DEFAULT '{}') RETURNS void
LANGUAGE sql AS $$
-- Locks what these calls hold, and these budgets, in the order of their ids: whoever settles several calls in one
-- transaction locks all that they hold at once, for budgets are shared.
  SELECT 1 FROM budgets
   WHERE id IN (SELECT unnest(p_budgets)
                 UNION SELECT unnest(v.budget_ids) FROM reservations v WHERE v.call_id = ANY (p_calls) AND v.status = 'held')
   ORDER BY id FOR UPDATE;
$$;
