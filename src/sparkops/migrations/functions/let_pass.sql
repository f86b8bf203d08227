CREATE OR REPLACE FUNCTION engine.let_pass(p_run uuid) RETURNS uuid[]
LANGUAGE sql STABLE AS $$
-- The budgets that people let this run pass where they ask, by their agreement to its beginning.
  SELECT ARRAY(SELECT (b ->> 'budget_id')::uuid FROM approvals a, jsonb_array_elements(a.budgets) b
                WHERE a.subject_kind = 'run' AND a.subject_id = p_run AND a.status = 'consumed');
$$;
