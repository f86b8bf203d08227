CREATE OR REPLACE FUNCTION engine.freed(p_runs uuid[]) RETURNS jsonb
LANGUAGE sql AS $$
-- The projects in which, with the end of one of these runs, a place may have become free that others queue for:
-- where a limit counted it. The caller admits what queues there after its commit.
  SELECT coalesce(jsonb_agg(DISTINCT r.project_id), '[]')
    FROM runs r JOIN projects p ON p.id = r.project_id JOIN workflows w ON w.id = r.workflow_id
   WHERE r.id = ANY (p_runs) AND r.finished_at IS NOT NULL
     AND (r.concurrency_limit IS NOT NULL OR p.max_running_runs IS NOT NULL OR w.max_running_runs IS NOT NULL);
$$;
