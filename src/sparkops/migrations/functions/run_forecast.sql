CREATE OR REPLACE FUNCTION engine.run_forecast(p_version uuid)
RETURNS TABLE (runs bigint, median bigint, p95 bigint)
LANGUAGE sql STABLE AS $$
-- What the last runs of this version have cost with all below them, the last 50 at most that did everything themselves
-- and have ended well or badly by themselves. Of so few runs the p95 is nearly the dearest.
  SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY l.spent_micros),
         percentile_disc(0.95) WITHIN GROUP (ORDER BY l.spent_micros)
    FROM (SELECT b.spent_micros FROM workflow_versions v
            JOIN runs r ON r.project_id = v.project_id AND r.workflow_id = v.workflow_id AND r.workflow_version_id = v.id
            JOIN budgets b ON b.definition_id IS NULL AND b.scope_id = r.id
           WHERE v.id = p_version AND r.status IN ('succeeded', 'failed') AND r.source_run_id IS NULL
           ORDER BY r.id DESC LIMIT 50) l;
$$;
