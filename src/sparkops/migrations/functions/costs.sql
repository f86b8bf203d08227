CREATE OR REPLACE FUNCTION engine.costs(p_project uuid, p_terms jsonb) RETURNS boolean
LANGUAGE sql STABLE AS $$
-- Whether a call of this project has to be held over its budgets: one that costs nothing counts only where a budget
-- limits calls, or the tokens that it may take. p_terms: {bound_micros, bound_tokens}.
  SELECT (p_terms ->> 'bound_micros')::bigint > 0 OR EXISTS (
    SELECT 1 FROM budget_definitions d
     WHERE d.archived_at IS NULL AND (d.project_id = p_project OR d.project_id IS NULL)
       AND (d.limit_calls IS NOT NULL OR d.limit_tokens IS NOT NULL AND (p_terms ->> 'bound_tokens')::bigint > 0))
$$;
