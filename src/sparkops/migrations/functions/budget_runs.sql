CREATE OR REPLACE FUNCTION engine.budget_runs(p_project uuid, p_workflow uuid, p_user uuid, p_key uuid)
RETURNS TABLE (definition_id uuid, name text, action text, percent bigint, of bigint, used bigint, ends_at timestamptz)
LANGUAGE sql STABLE AS $$
-- What one more run, that stands for itself, would go beyond: of each budget that limits runs the strictest threshold in
-- the way. Only looks, and locks nothing: `count_run` has the last word. p_key: the API key that acts, or NULL.
  SELECT DISTINCT ON (d.id) d.id, d.name, t.action, t.percent, d.limit_runs, coalesce(b.runs, 0), w.ends_at
    FROM budget_definitions d
    CROSS JOIN LATERAL engine.budget_window(d.period, d.time_zone, NULL) w
    LEFT JOIN budgets b ON b.definition_id = d.id AND b.window_key = w.key AND b.scope_id = CASE d.scope
      WHEN 'installation' THEN '00000000-0000-0000-0000-000000000000' WHEN 'project' THEN p_project
      WHEN 'workflow' THEN p_workflow WHEN 'user' THEN p_user WHEN 'api_key' THEN p_key END
    CROSS JOIN LATERAL jsonb_to_recordset(engine.budget_bars(d.thresholds)) AS t (percent bigint, action text)
   WHERE d.archived_at IS NULL AND (d.project_id = p_project OR d.project_id IS NULL)
     AND d.limit_runs IS NOT NULL AND (d.scope <> 'api_key' OR p_key IS NOT NULL)
     AND (d.scope_id IS NULL OR d.scope_id IN (p_project, p_workflow, p_user, p_key))
     AND t.action <> 'notify' AND (coalesce(b.runs, 0) + 1)::numeric * 100 > d.limit_runs::numeric * t.percent
   ORDER BY d.id, array_position(ARRAY['deny', 'pause', 'require_approval'], t.action), t.percent DESC;
$$;
