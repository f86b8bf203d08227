CREATE OR REPLACE FUNCTION engine.judge_step(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- What the rules say about the start of an attempt, written down before the attempt acts. Where they ask for consent it
-- is asked for once for the step, however often it is attempted; what was consented to counts for all attempts, as long
-- as the rules do not deny, and put no other question. A no stays one, said or by silence, also where no rule asks any more.
-- p: {step_id, attempt, token, policy_version, request, request_hash, title, approval_id, approval_seconds, and what
-- `decide` takes}.
-- Returns {status: allowed | denied | pending | rejected | expired | withdrawn, approval_id, comment, rings}; or
-- {policy_version} when the rules have changed: judge again. Raises SF001, SF006.
DECLARE
  v_step steps := engine.hold_lease((p ->> 'step_id')::uuid, (p ->> 'attempt')::bigint, (p ->> 'token')::uuid);
  v_policy bigint := engine.policy_stamp(v_step.project_id);
  v_asked approvals;
  v_demands jsonb := engine.demands(p);
  v_decision uuid;
  v_status text := CASE p ->> 'outcome' WHEN 'allow' THEN 'allowed' WHEN 'deny' THEN 'denied' END;
  v_events jsonb := '[]';
BEGIN
  IF v_step.cancel_requested THEN
    RAISE EXCEPTION 'step % was asked to stop', v_step.id USING ERRCODE = 'SF006';
  ELSIF v_policy <> (p ->> 'policy_version')::bigint THEN
    RETURN jsonb_build_object('policy_version', v_policy);
  END IF;
  v_decision := engine.decide(
    v_step.run_id, v_step.id, v_step.project_id, 'step', v_step.id, p ->> 'request_hash', v_policy, p);
  SELECT * INTO v_asked FROM approvals
    WHERE subject_kind = 'step' AND subject_id = v_step.id AND request_hash = p ->> 'request_hash'
    ORDER BY id DESC LIMIT 1 FOR UPDATE;
  IF v_status IS NULL AND NOT engine.covers(v_asked.demands, v_demands) THEN
    UPDATE approvals SET status = 'withdrawn'
     WHERE id = v_asked.id AND status IN ('pending', 'approved') AND expires_at > clock_timestamp();
    IF FOUND OR v_asked.status = 'consumed' THEN
      v_asked := NULL;
    END IF;
  END IF;
  IF v_status = 'allowed' AND v_asked.status IN ('rejected', 'expired') THEN
    v_status := v_asked.status;
  ELSIF v_status IS NOT NULL THEN
    UPDATE approvals SET status = 'withdrawn' WHERE id = v_asked.id AND status IN ('pending', 'approved');
  ELSIF v_asked.id IS NULL THEN
    INSERT INTO approvals (id, project_id, run_id, step_id, subject_kind, subject_id, request_hash, title,
                           proposed_request, status, reason, rule, decision_id, demands, requested_by, expires_at,
                           escalate_at)
    SELECT (p ->> 'approval_id')::uuid, v_step.project_id, v_step.run_id, v_step.id, 'step', v_step.id,
           p ->> 'request_hash', p ->> 'title', p -> 'request', 'pending', engine.words(p), p ->> 'rule', v_decision,
           v_demands, r.created_by,
           clock_timestamp() + make_interval(secs => (p ->> 'approval_seconds')::float8),
           clock_timestamp() + make_interval(secs => (v_demands ->> 'escalate_after_seconds')::float8)
      FROM runs r WHERE r.id = v_step.run_id
    RETURNING * INTO v_asked;
    v_status := 'pending';
    v_events := jsonb_build_array(jsonb_build_object(
      'run_id', v_step.run_id, 'kind', 'approval.requested', 'step_id', v_step.id,
      'data', jsonb_build_object('approval_id', v_asked.id, 'key', v_step.node_key, 'title', v_asked.title)));
  ELSIF v_asked.status = 'consumed' THEN
    v_status := 'allowed';
  ELSIF v_asked.expires_at <= clock_timestamp() AND v_asked.status IN ('pending', 'approved') THEN
    v_status := 'expired';
  ELSIF v_asked.status = 'approved' THEN
    UPDATE approvals SET status = 'consumed', consumed_at = clock_timestamp() WHERE id = v_asked.id;
    v_status := 'allowed';
  ELSE
    v_status := v_asked.status;
  END IF;
  RETURN jsonb_build_object('status', v_status, 'approval_id', v_asked.id, 'comment', v_asked.comment,
                            'rings', engine.emit(v_events));
END $$;
