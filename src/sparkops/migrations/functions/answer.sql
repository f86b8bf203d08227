CREATE OR REPLACE FUNCTION engine.answer(
  p_approval uuid, p_user uuid, p_approve boolean, p_comment text) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_APPROVE and T_DENY. A member of the project who did not start the run answers an open question, and the step that
-- waits for it may go on. Returns {result, status, rings}: result is `ok`, `not_found` (also for a stranger),
-- `own_request`, or `closed` with the status that it has.
-- Lock order: run, step, approval.
DECLARE
  v_approval approvals;
  v_step steps;
  v_events jsonb;
BEGIN
  SELECT a.* INTO v_approval FROM approvals a
    JOIN memberships m ON m.project_id = a.project_id AND m.user_id = p_user WHERE a.id = p_approval;
  IF NOT FOUND THEN
    RETURN '{"result": "not_found"}';
  END IF;
  PERFORM 1 FROM runs WHERE id = v_approval.run_id FOR UPDATE;
  SELECT * INTO v_step FROM steps WHERE id = v_approval.step_id FOR UPDATE;
  SELECT * INTO v_approval FROM approvals WHERE id = p_approval FOR UPDATE;
  IF v_approval.status <> 'pending' OR v_approval.expires_at <= clock_timestamp() THEN
    RETURN jsonb_build_object('result', 'closed', 'status',
      CASE v_approval.status WHEN 'pending' THEN 'expired' ELSE v_approval.status END);
  ELSIF v_approval.requested_by = p_user THEN
    RETURN '{"result": "own_request"}';
  END IF;

  UPDATE approvals
     SET status = CASE WHEN p_approve THEN 'approved' ELSE 'rejected' END, decided_by = p_user,
         decided_at = clock_timestamp(), comment = p_comment
   WHERE id = p_approval RETURNING * INTO v_approval;
  PERFORM engine.write_audit(
    v_approval.project_id, 'user:' || p_user, 'approval.' || v_approval.status, 'approval:' || p_approval,
    jsonb_build_object('run_id', v_approval.run_id, 'request_hash', v_approval.request_hash, 'comment', p_comment));
  v_events := jsonb_build_array(jsonb_build_object(
    'run_id', v_approval.run_id, 'kind', 'approval.' || v_approval.status, 'step_id', v_approval.step_id,
    'data', jsonb_build_object('approval_id', p_approval, 'key', v_step.node_key, 'decided_by', p_user)));
  RETURN jsonb_build_object('result', 'ok', 'status', v_approval.status,
                            'rings', engine.emit(v_events || engine.wake(v_step)));
END $$;
