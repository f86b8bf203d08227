CREATE OR REPLACE FUNCTION engine.budget_room(p_project uuid, p_workflow uuid, p_user uuid, p_key uuid)
RETURNS TABLE (definition_id uuid, name text, admission text, admission_by text, room bigint, ends_at timestamptz)
LANGUAGE sql STABLE AS $$
-- What the budgets that look at forecasts have left for a run that is about to be accepted. Only looks: a forecast is no
-- reservation. p_key: the API key that acts, or NULL.
  SELECT d.id, d.name, d.admission, d.admission_by,
         engine.budget_first_bar(d.limit_micros, d.thresholds) - coalesce(b.spent_micros + b.reserved_micros, 0), w.ends_at
    FROM budget_definitions d
    CROSS JOIN LATERAL engine.budget_window(d.period, d.time_zone, NULL) w
    LEFT JOIN budgets b ON b.definition_id = d.id AND b.window_key = w.key AND b.scope_id = CASE d.scope
      WHEN 'installation' THEN '00000000-0000-0000-0000-000000000000' WHEN 'project' THEN p_project
      WHEN 'workflow' THEN p_workflow WHEN 'user' THEN p_user WHEN 'api_key' THEN p_key END
   WHERE d.archived_at IS NULL AND (d.project_id = p_project OR d.project_id IS NULL)
     AND d.admission IS NOT NULL AND d.limit_micros IS NOT NULL AND d.scope <> 'agent' AND (d.scope <> 'api_key' OR p_key IS NOT NULL)
     AND (d.scope_id IS NULL OR d.scope_id IN (p_project, p_workflow, p_user, p_key))
   ORDER BY d.admission DESC, d.id;
$$;
