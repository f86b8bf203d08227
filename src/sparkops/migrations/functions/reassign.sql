CREATE OR REPLACE FUNCTION engine.reassign(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_REASSIGN. Somebody who may answer an open question gives their voice to another person, or to a role, and with it
-- every voice that they were given: they do not answer any more, and what they have said does not count. Everybody else
-- may do what they might before. What is given back to somebody who gave it to this very person is theirs again. It is
-- refused where fewer than the quorum could agree by it, who otherwise could: one person counts once, however many voices
-- they have.
-- p: {approval_id, user_id, reach: the projects where they may answer, to: a role or an e-mail address, comment}.
-- Returns {result, status, rings}: result is `ok`, `not_found` (also for a stranger), `own_request`, `not_an_approver`,
-- `closed` with the status that it has, `nobody`: nobody else who is meant could answer, or `too_few` with `left`, how
-- many could still agree, and the `quorum`.
DECLARE
  v_user uuid := (p ->> 'user_id')::uuid;
  v_to text := p ->> 'to';
  v_approval approvals;
  v_voice uuid;
  v_voices uuid[];
  v_quorum int;
  v_before int;
  v_left int;
  v_key text;
BEGIN
  SELECT a.* INTO v_approval FROM approvals a
    JOIN memberships m ON m.project_id = a.project_id AND m.user_id = v_user
   WHERE a.id = (p ->> 'approval_id')::uuid AND p -> 'reach' ? a.project_id::text FOR UPDATE OF a;
  IF NOT FOUND THEN
    RETURN '{"result": "not_found"}';
  ELSIF v_approval.status <> 'pending' OR v_approval.expires_at <= clock_timestamp() THEN
    RETURN jsonb_build_object('result', 'closed', 'status',
      CASE v_approval.status WHEN 'pending' THEN 'expired' ELSE v_approval.status END);
  ELSIF v_approval.requested_by = v_user THEN
    RETURN '{"result": "own_request"}';
  END IF;
  SELECT voice, voices INTO v_voice, v_voices FROM engine.voice(v_approval, v_user);
  IF v_voice IS NULL THEN
    RETURN '{"result": "not_an_approver"}';
  END IF;
  v_quorum := v_approval.demands ->> 'quorum';
  v_before := engine.voices_left(v_approval);
  v_approval.reassigned := coalesce((
      SELECT jsonb_agg(r) FROM jsonb_array_elements(v_approval.reassigned) r
       WHERE (r ->> 'by')::uuid IS DISTINCT FROM (SELECT id FROM users WHERE email = v_to)
          OR r ->> 'to' <> ALL (engine.answerer(v_approval, v_user))), '[]')
    || jsonb_build_array(jsonb_build_object(
      'by', v_user, 'to', v_to, 'voices', v_voices, 'at', clock_timestamp(), 'comment', p ->> 'comment'));
  IF NOT EXISTS (SELECT 1 FROM memberships m
                  WHERE m.project_id = v_approval.project_id AND m.user_id <> v_user
                    AND v_to = ANY (engine.answerer(v_approval, m.user_id))
                    AND engine.speaks_for(v_approval, m.user_id) IS NOT NULL) THEN
    RETURN '{"result": "nobody"}';
  END IF;
  v_left := engine.voices_left(v_approval);
  IF v_left < least(v_before, v_quorum) THEN
    RETURN jsonb_build_object('result', 'too_few', 'left', v_left, 'quorum', v_quorum);
  END IF;
  UPDATE approvals SET reassigned = v_approval.reassigned, revision = revision + 1 WHERE id = v_approval.id;
  PERFORM engine.write_audit(v_approval.project_id, 'user:' || v_user, 'approval.reassign', 'approval:' || v_approval.id,
                             jsonb_build_object('run_id', v_approval.run_id, 'to', v_to, 'comment', p ->> 'comment'));
  SELECT node_key INTO v_key FROM steps WHERE id = v_approval.step_id;
  RETURN jsonb_build_object('result', 'ok', 'rings', engine.emit(jsonb_build_array(jsonb_build_object(
    'run_id', v_approval.run_id, 'kind', 'approval.reassigned', 'step_id', v_approval.step_id,
    'data', jsonb_build_object('approval_id', v_approval.id, 'key', v_key, 'by', v_user, 'to', v_to)))));
END $$;
