CREATE OR REPLACE FUNCTION engine.open_window(
  p_definition uuid, p_member uuid, p_key text, p_starts timestamptz, p_ends timestamptz) RETURNS uuid
LANGUAGE plpgsql AS $$
-- The window of a definition for one member and one period, made with the terms that hold now where nobody has made it.
-- The definition is held meanwhile, so that whoever changes it finds the row. Call it before any budget is locked, and
-- for several in the order of definition and member: who makes the same window at once is waited for.
DECLARE
  v_id uuid;
BEGIN
  PERFORM 1 FROM budget_definitions WHERE id = p_definition FOR SHARE;
  INSERT INTO budgets (id, project_id, definition_id, scope, scope_id, period, window_key, starts_at, ends_at,
                       limit_micros, limit_tokens, limit_calls, limit_runs, thresholds,
                       top_micros, top_tokens, top_calls, top_runs)
  SELECT gen_random_uuid(), d.project_id, d.id, d.scope, p_member, d.period, p_key, p_starts, p_ends,
         d.limit_micros, d.limit_tokens, d.limit_calls, d.limit_runs,
         engine.budget_bars(d.thresholds), engine.budget_first_bar(d.limit_micros, d.thresholds),
         engine.budget_first_bar(d.limit_tokens, d.thresholds), engine.budget_first_bar(d.limit_calls, d.thresholds),
         engine.budget_first_bar(d.limit_runs, d.thresholds)
    FROM budget_definitions d WHERE d.id = p_definition
  ON CONFLICT (definition_id, scope_id, window_key) WHERE definition_id IS NOT NULL DO NOTHING;
  SELECT id INTO v_id FROM budgets WHERE definition_id = p_definition AND scope_id = p_member AND window_key = p_key;
  RETURN v_id;
END $$;
