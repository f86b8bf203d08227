CREATE OR REPLACE FUNCTION engine.ask(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- The question of an `approval` step, asked once however often the step is attempted, and its answer, used once.
-- p: {step_id, attempt, token, approval_id, title, request, request_hash, seconds, demands}.
-- Returns {approval_id, status: pending | approved | rejected | expired | withdrawn, decided_by, comment, rings}.
-- Raises SF001, SF006.
DECLARE
  v_step steps := engine.hold_lease((p ->> 'step_id')::uuid, (p ->> 'attempt')::bigint, (p ->> 'token')::uuid);
  v_approval approvals;
  v_events jsonb := '[]';
BEGIN
  IF v_step.cancel_requested THEN
    RAISE EXCEPTION 'step % was asked to stop', v_step.id USING ERRCODE = 'SF006';
  END IF;
  SELECT * INTO v_approval FROM approvals WHERE subject_kind = 'step' AND subject_id = v_step.id AND rule IS NULL
    FOR UPDATE;  -- one with a rule asks whether the step may start
  IF NOT FOUND THEN
    INSERT INTO approvals (id, project_id, run_id, step_id, subject_kind, subject_id, request_hash, title,
                           proposed_request, status, demands, requested_by, expires_at, escalate_at)
    SELECT (p ->> 'approval_id')::uuid, v_step.project_id, v_step.run_id, v_step.id, 'step', v_step.id,
           p ->> 'request_hash', p ->> 'title', p -> 'request', 'pending', engine.demands(p), r.created_by,
           clock_timestamp() + make_interval(secs => (p ->> 'seconds')::float8),
           clock_timestamp() + make_interval(secs => (p #>> '{demands,escalate_after_seconds}')::float8)
      FROM runs r WHERE r.id = v_step.run_id
    RETURNING * INTO v_approval;
    v_events := jsonb_build_array(jsonb_build_object(
      'run_id', v_step.run_id, 'kind', 'approval.requested', 'step_id', v_step.id,
      'data', jsonb_build_object('approval_id', v_approval.id, 'key', v_step.node_key, 'title', v_approval.title)));
  ELSIF v_approval.request_hash <> p ->> 'request_hash' THEN
    RAISE EXCEPTION 'step % asks something else than what it asked before', v_step.node_key USING ERRCODE = 'SF003';
  ELSIF v_approval.status = 'approved' AND v_approval.expires_at > clock_timestamp() THEN
    UPDATE approvals SET status = 'consumed', consumed_at = clock_timestamp() WHERE id = v_approval.id;
  END IF;
  RETURN jsonb_build_object(
    'approval_id', v_approval.id, 'decided_by', v_approval.decided_by, 'comment', v_approval.comment,
    'status', CASE WHEN v_approval.status = 'consumed' THEN 'approved'
                   WHEN v_approval.status = 'approved' AND v_approval.expires_at <= clock_timestamp() THEN 'expired'
                   ELSE v_approval.status END,
    'rings', engine.emit(v_events));
END $$;
