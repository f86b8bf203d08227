CREATE OR REPLACE FUNCTION engine.resume_run(p_run uuid, p_user uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_RESUME. A paused run goes on, or queues where a limit leaves no room, or to be counted on the budgets of runs. p_user NULL: the pause of its workflow was
-- released; a run that a person paused stays paused then. The caller advances the run afterwards, for it may have
-- come to its end.
-- Returns {status, halt: the pause of its workflow that has to be released first, rings}. Repeating changes nothing.
-- Lock order: admission, run, steps.
DECLARE
  v_run runs;
  v_status text := 'running';
BEGIN
  SELECT * INTO v_run FROM runs WHERE id = p_run;
  PERFORM engine.lock_admission(v_run);
  SELECT * INTO v_run FROM runs WHERE id = p_run FOR UPDATE;
  IF v_run.status <> 'paused' OR p_user IS NULL AND v_run.paused_by IS NOT NULL THEN
    RETURN jsonb_build_object('status', v_run.status, 'rings', '[]'::jsonb);
  ELSIF engine.workflow_halted(v_run.workflow_id) THEN
    RETURN jsonb_build_object('status', 'paused', 'rings', '[]'::jsonb, 'halt', (
      SELECT id FROM halts WHERE scope_id = v_run.workflow_id AND kind = 'pause' AND released_at IS NULL));
  END IF;
  IF engine.blocked_by(v_run) IS NULL AND NOT v_run.uncounted THEN
    PERFORM engine.let_go(v_run);
  ELSE
    v_status := 'queued';
    UPDATE runs SET status = 'queued', paused_by = NULL WHERE id = p_run;
  END IF;
  PERFORM engine.write_audit(
    v_run.project_id, coalesce('user:' || p_user, 'system'), 'run.resume', 'run:' || p_run, '{}',
    jsonb_build_object('status', v_run.status), jsonb_build_object('status', v_status));
  RETURN jsonb_build_object('status', v_status, 'rings', engine.emit(jsonb_build_array(jsonb_build_object(
    'run_id', p_run, 'kind', CASE v_status WHEN 'running' THEN 'run.resumed' ELSE 'run.queued' END,
    'data', jsonb_build_object('status', v_status)))));
END $$;
