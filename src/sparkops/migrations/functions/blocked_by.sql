CREATE OR REPLACE FUNCTION engine.blocked_by(p_run runs) RETURNS text
LANGUAGE plpgsql AS $$
-- What keeps a run from going on: `pause` of its workflow, or the limit of the `project`, of the `workflow` or of its
-- `concurrency` key that leaves no room, or a `budget` of runs that it waits for; NULL: nothing. A run that was paused keeps its place if it had begun; the
-- run itself and those above it do not count. A sub-workflow's run is not held back by the limits of project and
-- workflow, because a run that has its place waits for it. One whose output people have to let out keeps its place.
-- True at the time of asking; whoever acts on it holds the locks of admission.
DECLARE
  v_project bigint;
  v_workflow bigint;
  v_going bigint;
BEGIN
  IF engine.workflow_halted(p_run.workflow_id) THEN
    RETURN 'pause';
  END IF;
  IF p_run.uncounted AND EXISTS (
       SELECT 1 FROM engine.budget_runs(p_run.project_id, p_run.workflow_id, p_run.created_by, p_run.created_by_key) w
        WHERE NOT (w.action = 'require_approval' AND w.definition_id = ANY (engine.let_pass(p_run.id)))) THEN
    RETURN 'budget';
  END IF;
  IF p_run.parent_run_id IS NULL THEN
    SELECT p.max_running_runs, w.max_running_runs INTO v_project, v_workflow
      FROM projects p, workflows w WHERE p.id = p_run.project_id AND w.id = p_run.workflow_id;
  END IF;
  IF v_project IS NOT NULL THEN
    SELECT count(*) INTO v_going FROM (
      SELECT 1 FROM runs r WHERE r.status IN ('running', 'attention', 'paused', 'cancelling', 'compensating', 'awaiting_approval')
         AND r.project_id = p_run.project_id AND r.started_at IS NOT NULL AND r.id <> p_run.id LIMIT v_project) r;
    IF v_going >= v_project THEN
      RETURN 'project';
    END IF;
  END IF;
  IF v_workflow IS NOT NULL THEN
    SELECT count(*) INTO v_going FROM (
      SELECT 1 FROM runs r WHERE r.status IN ('running', 'attention', 'paused', 'cancelling', 'compensating', 'awaiting_approval')
         AND r.project_id = p_run.project_id AND r.workflow_id = p_run.workflow_id
         AND r.started_at IS NOT NULL AND r.id <> p_run.id LIMIT v_workflow) r;
    IF v_going >= v_workflow THEN
      RETURN 'workflow';
    END IF;
  END IF;
  IF p_run.concurrency_limit IS NOT NULL THEN
    SELECT count(*) INTO v_going FROM (
      SELECT 1 FROM runs r WHERE r.status IN ('running', 'attention', 'paused', 'cancelling', 'compensating', 'awaiting_approval')
         AND r.project_id = p_run.project_id AND r.workflow_id = p_run.workflow_id
         AND r.concurrency_key = p_run.concurrency_key AND r.started_at IS NOT NULL
         AND r.id <> ALL (p_run.lineage || p_run.id) LIMIT p_run.concurrency_limit) r;
    IF v_going >= p_run.concurrency_limit THEN
      RETURN 'concurrency';
    END IF;
  END IF;
  RETURN NULL;
END $$;
