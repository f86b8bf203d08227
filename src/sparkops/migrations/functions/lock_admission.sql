CREATE OR REPLACE FUNCTION engine.lock_admission(p_run runs) RETURNS void
LANGUAGE plpgsql AS $$
-- Whoever counts the runs that go on under a limit, to add one, holds these locks until the end of the transaction:
-- that of the project, of the workflow, of the concurrency key, in this order, each only where there is a limit.
-- Always the first locks of a transaction: before any run, and before any step.
DECLARE
  v_project bigint;
  v_workflow bigint;
BEGIN
  SELECT p.max_running_runs, w.max_running_runs INTO v_project, v_workflow
    FROM projects p, workflows w WHERE p.id = p_run.project_id AND w.id = p_run.workflow_id;
  IF v_project IS NOT NULL AND p_run.parent_run_id IS NULL THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('admission/project/' || p_run.project_id, 0));
  END IF;
  IF v_workflow IS NOT NULL AND p_run.parent_run_id IS NULL THEN
    PERFORM pg_advisory_xact_lock(hashtextextended('admission/workflow/' || p_run.workflow_id, 0));
  END IF;
  IF p_run.concurrency_limit IS NOT NULL THEN
    PERFORM pg_advisory_xact_lock(
      hashtextextended('admission/key/' || p_run.workflow_id || '/' || p_run.concurrency_key, 0));
  END IF;
END $$;
