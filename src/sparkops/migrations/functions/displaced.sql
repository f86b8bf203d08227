CREATE OR REPLACE FUNCTION engine.displaced(p_run uuid) RETURNS uuid[]
LANGUAGE sql AS $$
-- The runs that have to make room for this one where the newest go first: of the open runs of its concurrency key
-- that came before it, all but the newest, so that as many go on as the key allows. Up to 1,000, the newest first. None
-- where it waits for a budget.
  SELECT coalesce(array_agg(o.id ORDER BY o.id DESC), '{}') FROM runs n CROSS JOIN LATERAL (
    SELECT r.id FROM (
      SELECT g.id FROM runs g
       WHERE (g.status IN ('running', 'attention', 'paused') OR g.status = 'awaiting_approval' AND g.started_at IS NOT NULL)
         AND g.project_id = n.project_id
         AND g.workflow_id = n.workflow_id AND g.concurrency_key = n.concurrency_key
      UNION ALL
      SELECT q.id FROM runs q
       WHERE q.status = 'queued' AND q.project_id = n.project_id
         AND q.workflow_id = n.workflow_id AND coalesce(q.concurrency_key, '') = n.concurrency_key) r
     WHERE r.id < n.id AND r.id <> ALL (n.lineage)
     ORDER BY r.id DESC OFFSET n.concurrency_limit - 1 LIMIT 1000) o
   WHERE n.id = p_run AND n.status = 'queued' AND NOT n.uncounted;
$$;
