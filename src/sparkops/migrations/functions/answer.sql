CREATE OR REPLACE FUNCTION engine.answer(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_APPROVE and T_DENY. Somebody entitled answers an open question. One no rejects; with as many who agree as it
-- demands, among them one of each group of approvers, it is approved, and the step that waits for it may go on; where
-- the run itself waits, it is to be advanced. Who agrees may change the arguments where the rules allow it: then that is
-- what is asked about, and those who agreed to something else do not count any more; where others have to agree as well
-- the step goes on to tell them what would happen now, if it did so before.
-- p: {approval_id, user_id, reach: the projects where they may answer, vote: approve | reject, comment, request_hash:
-- what they were shown (null: the request as it was proposed), edited: null | {request, request_hash, tool_hash: of the
-- definition that it was checked with}}.
-- Returns {result, status, run: the one that the caller advances now, or null, rings}: result is `ok`, `not_found` (also
-- for a stranger), `own_request`, `not_an_approver`, `closed` with the status that it has, `changed`: something else is
-- asked about now, `fixed`: nobody may change this request, `tool_changed`, or `answered`: they have said this before.
-- Lock order: run, step, approval.
DECLARE
  v_user uuid := (p ->> 'user_id')::uuid;
  v_approves boolean := p ->> 'vote' = 'approve';
  v_edit jsonb := nullif(p -> 'edited', 'null');
  v_approval approvals;
  v_step steps;
  v_asked text;
  v_changed boolean := false;
  v_said_before boolean;
  v_consent jsonb;
  v_status text;
  v_said text;
  v_advance uuid;
  v_events jsonb;
BEGIN
  SELECT a.* INTO v_approval FROM approvals a
    JOIN memberships m ON m.project_id = a.project_id AND m.user_id = v_user
   WHERE a.id = (p ->> 'approval_id')::uuid AND p -> 'reach' ? a.project_id::text;
  IF NOT FOUND THEN
    RETURN '{"result": "not_found"}';
  END IF;
  PERFORM 1 FROM runs WHERE id = v_approval.run_id FOR UPDATE;
  SELECT * INTO v_step FROM steps WHERE id = v_approval.step_id FOR UPDATE;
  SELECT * INTO v_approval FROM approvals WHERE id = v_approval.id FOR UPDATE;
  v_asked := coalesce(v_approval.edited_hash, v_approval.request_hash);
  IF v_approval.status <> 'pending' OR v_approval.expires_at <= clock_timestamp() THEN
    RETURN jsonb_build_object('result', 'closed', 'status',
      CASE v_approval.status WHEN 'pending' THEN 'expired' ELSE v_approval.status END);
  ELSIF engine.own_request(v_approval, v_user) THEN
    RETURN '{"result": "own_request"}';
  ELSIF engine.speaks_for(v_approval, v_user) IS NULL THEN
    RETURN '{"result": "not_an_approver"}';
  ELSIF v_approves AND coalesce(p ->> 'request_hash', v_approval.request_hash) <> v_asked THEN
    RETURN '{"result": "changed"}';
  ELSIF v_edit IS NOT NULL AND (NOT ((v_approval.demands -> 'may_edit')::boolean AND v_approval.tool_hash IS NOT NULL)
        OR EXISTS (SELECT 1 FROM calls WHERE id = v_approval.subject_id AND sends > 0)) THEN
    RETURN '{"result": "fixed"}';  -- what has left and was lost goes out again under its id, which is for that request
  ELSIF v_edit ->> 'tool_hash' <> v_approval.tool_hash THEN
    RETURN '{"result": "tool_changed"}';
  END IF;

  IF v_edit IS NOT NULL AND v_edit ->> 'request_hash' <> v_asked THEN
    v_changed := true;
    v_asked := v_edit ->> 'request_hash';
    IF v_asked = v_approval.request_hash THEN  -- back to what was proposed
      v_edit := '{}';
    END IF;
    UPDATE approvals
       SET edited_request = v_edit -> 'request', edited_hash = v_edit ->> 'request_hash',
           edited_by = CASE WHEN v_edit ? 'request' THEN v_user END,
           edited_at = CASE WHEN v_edit ? 'request' THEN clock_timestamp() END
     WHERE id = v_approval.id RETURNING * INTO v_approval;
  END IF;
  INSERT INTO approval_votes (id, approval_id, project_id, user_id, vote, request_hash, comment)
  VALUES (gen_random_uuid(), v_approval.id, v_approval.project_id, v_user, p ->> 'vote', v_asked, p ->> 'comment')
  ON CONFLICT DO NOTHING;
  v_said_before := NOT FOUND AND NOT v_changed;
  v_consent := engine.consent(v_approval);
  -- Who has agreed may come to speak for others, too: then the same yes, said once more, may be enough.
  IF v_said_before AND NOT (v_approves AND (v_consent -> 'enough')::boolean) THEN
    RETURN '{"result": "answered"}';
  END IF;
  v_status := CASE WHEN NOT v_approves THEN 'rejected' WHEN (v_consent -> 'enough')::boolean THEN 'approved'
                   ELSE 'pending' END;
  UPDATE approvals
     SET revision = revision + 1, status = v_status,
         decided_by = CASE WHEN v_status <> 'pending' THEN v_user END,
         decided_at = CASE WHEN v_status <> 'pending' THEN clock_timestamp() END,
         comment = CASE WHEN v_status <> 'pending' THEN p ->> 'comment' END
   WHERE id = v_approval.id;
  v_said := CASE WHEN v_status = 'pending' THEN 'agreed' ELSE v_status END;
  PERFORM engine.write_audit(
    v_approval.project_id, 'user:' || v_user, 'approval.' || v_said, 'approval:' || v_approval.id,
    jsonb_build_object('run_id', v_approval.run_id, 'request_hash', v_approval.request_hash, 'comment', p ->> 'comment',
                       'shown', v_asked, 'edited', v_changed, 'agreed', v_consent -> 'agreed'));
  v_events := jsonb_build_array(jsonb_build_object(
    'run_id', v_approval.run_id, 'kind', 'approval.' || v_said, 'step_id', v_approval.step_id,
    'data', jsonb_build_object('approval_id', v_approval.id, 'key', v_step.node_key, 'decided_by', v_user,
                               'edited', v_changed)));
  IF v_status <> 'pending' AND v_approval.step_id IS NULL THEN
    INSERT INTO unadvanced (run_id) VALUES (v_approval.run_id);
    v_advance := v_approval.run_id;
  ELSIF v_status <> 'pending' OR v_changed AND v_step.waiting_for -> 'looked' ? v_approval.id::text THEN
    v_events := v_events || engine.wake(v_step);
  END IF;
  RETURN jsonb_build_object('result', 'ok', 'status', v_status, 'run', v_advance, 'rings', engine.emit(v_events));
END $$;
