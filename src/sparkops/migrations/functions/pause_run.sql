CREATE OR REPLACE FUNCTION engine.pause_run(p_run uuid, p_user uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_PAUSE. From this commit on nothing of the run is claimed; what runs goes on to its end, and the run does not end
-- before it is resumed. p_user NULL: it is paused with its workflow, if that is still halted. A person's pause of a
-- run that is paused with its workflow outlasts that of the workflow.
-- Returns {status, rings}; another status than `paused` says why it cannot be paused. Repeating changes nothing.
DECLARE
  v_run runs;
  v_events jsonb := '[]';
BEGIN
  SELECT * INTO v_run FROM runs WHERE id = p_run FOR UPDATE;
  IF p_user IS NULL AND (v_run.status <> 'running' OR NOT engine.workflow_halted(v_run.workflow_id))
     OR v_run.status NOT IN ('running', 'queued', 'paused')
     OR v_run.status = 'paused' AND v_run.paused_by IS NOT NULL THEN
    RETURN jsonb_build_object('status', v_run.status, 'rings', '[]'::jsonb);
  END IF;
  IF v_run.status <> 'paused' THEN
    -- What is being claimed or expanded is waited for, so that the statement after this one sees every row.
    PERFORM 1 FROM steps WHERE run_id = p_run
       AND status IN ('pending', 'ready', 'running', 'waiting', 'uncertain') ORDER BY id FOR UPDATE;
    UPDATE steps SET held = true WHERE run_id = p_run AND NOT held
       AND status IN ('pending', 'ready', 'running', 'waiting', 'uncertain');
    v_events := jsonb_build_array(jsonb_build_object(
      'run_id', p_run, 'kind', 'run.paused', 'data', jsonb_build_object(
        'status', 'paused', 'by', CASE WHEN p_user IS NULL THEN 'workflow' ELSE 'person' END)));
  END IF;
  UPDATE runs SET status = 'paused', paused_at = coalesce(paused_at, clock_timestamp()), paused_by = p_user
   WHERE id = p_run;
  PERFORM engine.write_audit(
    v_run.project_id, coalesce('user:' || p_user, 'system'), 'run.pause', 'run:' || p_run, '{}',
    jsonb_build_object('status', v_run.status), '{"status": "paused"}');
  RETURN jsonb_build_object('status', 'paused', 'rings', engine.emit(v_events));
END $$;
