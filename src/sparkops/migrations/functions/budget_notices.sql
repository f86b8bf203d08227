CREATE OR REPLACE FUNCTION engine.budget_notices(p_run uuid, p_step uuid, p_reached jsonb) RETURNS jsonb
LANGUAGE sql AS $$
-- Notes which thresholds of definitions were reached for the first time in their windows, and returns the events.
-- p_reached: [{id, kind, percent, action}]. The caller holds the budgets.
  WITH noted AS (
    INSERT INTO budget_notices (id, project_id, definition_id, budget_id, kind, percent, action, run_id, step_id)
    SELECT gen_random_uuid(), b.project_id, b.definition_id, b.id, n.kind, n.percent, n.action, p_run, p_step
      FROM jsonb_to_recordset(p_reached) AS n (id uuid, kind text, percent bigint, action text)
      JOIN budgets b ON b.id = n.id AND b.definition_id IS NOT NULL
    ON CONFLICT (budget_id, kind, percent, action) DO NOTHING
    RETURNING *)
  SELECT coalesce(jsonb_agg(jsonb_build_object(
           'run_id', p_run, 'kind', 'budget.reached', 'step_id', p_step, 'data', jsonb_build_object(
             'budget_id', n.definition_id, 'name', d.name, 'of', n.kind, 'percent', n.percent, 'action', n.action))), '[]')
    FROM noted n JOIN budget_definitions d ON d.id = n.definition_id;
$$;
