CREATE OR REPLACE FUNCTION engine.first_status(p_run runs, p_when_full text) RETURNS text
LANGUAGE plpgsql AS $$
-- Part of T_ACCEPT, for a run that some limit or a pause of its workflow may keep back: `running`; `queued`, also
-- where others queue for the same places already, so that nobody overtakes them (what waits for a budget does not); `full`, where the workflow rather
-- rejects the run. Takes the locks of admission, which the transaction holds until the run is counted.
DECLARE
  v_project bigint;
  v_workflow bigint;
BEGIN
  PERFORM engine.lock_admission(p_run);
  IF p_when_full = 'reject' AND (
       SELECT count(*) FROM (
         SELECT 1 FROM runs r WHERE r.status IN ('running', 'attention', 'paused', 'cancelling', 'compensating', 'awaiting_approval')
            AND r.project_id = p_run.project_id AND r.workflow_id = p_run.workflow_id
            AND r.concurrency_key = p_run.concurrency_key AND r.id <> ALL (p_run.lineage)
            AND (r.status <> 'awaiting_approval' OR r.started_at IS NOT NULL)
         UNION ALL
         SELECT 1 FROM runs r WHERE r.status = 'queued' AND NOT r.uncounted
            AND r.project_id = p_run.project_id AND r.workflow_id = p_run.workflow_id
            AND coalesce(r.concurrency_key, '') = p_run.concurrency_key
          LIMIT p_run.concurrency_limit) r) >= p_run.concurrency_limit THEN
    RETURN 'full';
  ELSIF engine.blocked_by(p_run) IS NOT NULL THEN
    RETURN 'queued';
  END IF;
  SELECT p.max_running_runs, w.max_running_runs INTO v_project, v_workflow
    FROM projects p, workflows w
   WHERE p.id = p_run.project_id AND w.id = p_run.workflow_id AND p_run.parent_run_id IS NULL;
  IF v_project IS NOT NULL AND EXISTS (
       SELECT 1 FROM runs q WHERE q.status = 'queued' AND NOT q.uncounted AND q.project_id = p_run.project_id
          AND q.priority <= p_run.priority)
     OR v_workflow IS NOT NULL AND EXISTS (
       SELECT 1 FROM runs q WHERE q.status = 'queued' AND NOT q.uncounted AND q.project_id = p_run.project_id
          AND q.workflow_id = p_run.workflow_id AND q.priority <= p_run.priority)
     OR p_run.concurrency_limit IS NOT NULL AND EXISTS (
       SELECT 1 FROM runs q WHERE q.status = 'queued' AND NOT q.uncounted AND q.project_id = p_run.project_id
          AND q.workflow_id = p_run.workflow_id AND coalesce(q.concurrency_key, '') = p_run.concurrency_key
          AND q.priority <= p_run.priority) THEN
    RETURN 'queued';
  END IF;
  RETURN 'running';
END $$;
