CREATE OR REPLACE FUNCTION engine.admissible(p_project uuid, p_limit int) RETURNS uuid[]
LANGUAGE plpgsql AS $$
-- Up to p_limit queued runs of a project for which there seems to be room, by priority and arrival. Of each workflow
-- and concurrency key only the first is looked at, of those that are counted already: what keeps it back keeps back those behind it. Sub-workflows' runs
-- come first there, because the limits of project and workflow do not hold them back.
-- Those that wait for a budget of runs keep nobody else back; of those for whom the same budgets and limits count, the
-- first is looked at.
-- Costs as much as there are such keys, however many runs queue behind each; and reads all that wait for a budget.
DECLARE
  v_run runs;
  v_blocked text;
  v_full boolean := false;
  v_ids uuid[] := '{}';
BEGIN
  FOR v_run IN
    WITH RECURSIVE line AS (
      (SELECT r.workflow_id, coalesce(r.concurrency_key, '') AS key FROM runs r
        WHERE r.status = 'queued' AND NOT r.uncounted AND r.project_id = p_project
        ORDER BY r.workflow_id, coalesce(r.concurrency_key, '') LIMIT 1)
      UNION ALL
      SELECT n.workflow_id, n.key FROM line l CROSS JOIN LATERAL (
        SELECT r.workflow_id, coalesce(r.concurrency_key, '') AS key FROM runs r
         WHERE r.status = 'queued' AND NOT r.uncounted AND r.project_id = p_project
           AND (r.workflow_id, coalesce(r.concurrency_key, '')) > (l.workflow_id, l.key)
         ORDER BY r.workflow_id, coalesce(r.concurrency_key, '') LIMIT 1) n)
    SELECT h.* FROM (SELECT f.* FROM line l CROSS JOIN LATERAL (
      SELECT r.* FROM runs r
       WHERE r.status = 'queued' AND NOT r.uncounted AND r.project_id = p_project AND r.workflow_id = l.workflow_id
         AND coalesce(r.concurrency_key, '') = l.key
       ORDER BY (r.parent_run_id IS NULL), r.priority, r.id LIMIT 1) f
      UNION ALL
      (SELECT DISTINCT ON (r.workflow_id, r.created_by, r.created_by_key, r.concurrency_key) r.* FROM runs r
        WHERE r.status = 'queued' AND r.uncounted AND r.project_id = p_project
        ORDER BY r.workflow_id, r.created_by, r.created_by_key, r.concurrency_key, r.priority, r.id)) h
     ORDER BY h.priority, h.id
  LOOP
    CONTINUE WHEN v_full AND v_run.parent_run_id IS NULL;
    v_blocked := engine.blocked_by(v_run);
    v_full := v_full OR v_blocked IS NOT DISTINCT FROM 'project';
    IF v_blocked IS NULL THEN
      v_ids := v_ids || v_run.id;
      EXIT WHEN cardinality(v_ids) >= p_limit;
    END IF;
  END LOOP;
  RETURN v_ids;
END $$;
