CREATE OR REPLACE FUNCTION engine.budgets_of(p_run uuid, p_agent text) RETURNS uuid[]
LANGUAGE plpgsql AS $$
-- The budgets that a call of this run counts against: its own and those of the runs above it, and of every definition
-- in force the window of each member that the call belongs to. A workflow and the run at the top answer for all that is
-- done below them. p_agent: the name of the agent that acts, if one does.
-- A window that is counted on for the first time is made here, before any budget is locked.
DECLARE
  v_run record;
  v_window record;
  v_ids uuid[];
BEGIN
  SELECT r.project_id, r.created_by, r.created_by_key, r.line,
         ARRAY(SELECT DISTINCT l.workflow_id FROM runs l WHERE l.id = ANY (r.line)) AS workflows,
         ARRAY(SELECT a.id FROM agents a WHERE a.project_id = r.project_id AND a.name = p_agent) AS agents,
         ARRAY(SELECT b.id FROM budgets b WHERE b.definition_id IS NULL AND b.scope_id = ANY (r.line)) AS budgets
    INTO v_run FROM (SELECT r.*, r.lineage || r.id AS line FROM runs r WHERE r.id = p_run) r;
  v_ids := v_run.budgets;
  FOR v_window IN
    SELECT d.id AS definition_id, m.id AS member, w.*, b.id AS budget
      FROM budget_definitions d
      CROSS JOIN LATERAL unnest(CASE d.scope
        WHEN 'installation' THEN ARRAY['00000000-0000-0000-0000-000000000000'::uuid]
        WHEN 'project' THEN ARRAY[v_run.project_id] WHEN 'workflow' THEN v_run.workflows
        WHEN 'agent' THEN v_run.agents WHEN 'user' THEN ARRAY[v_run.created_by]
        WHEN 'api_key' THEN ARRAY[v_run.created_by_key] WHEN 'run' THEN v_run.line[1:1] END) AS m (id)
      CROSS JOIN LATERAL engine.budget_window(d.period, d.time_zone, v_run.line[1]) w
      LEFT JOIN budgets b ON b.definition_id = d.id AND b.scope_id = m.id AND b.window_key = w.key
     WHERE d.archived_at IS NULL AND (d.project_id = v_run.project_id OR d.project_id IS NULL)
       AND m.id IS NOT NULL AND (d.scope_id IS NULL OR d.scope_id = m.id)
     ORDER BY d.id, m.id
  LOOP
    IF v_window.budget IS NULL THEN
      v_window.budget := engine.open_window(
        v_window.definition_id, v_window.member, v_window.key, v_window.starts_at, v_window.ends_at);
    END IF;
    v_ids := v_ids || v_window.budget;
  END LOOP;
  RETURN v_ids;
END $$;
