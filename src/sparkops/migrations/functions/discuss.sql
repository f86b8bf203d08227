CREATE OR REPLACE FUNCTION engine.discuss(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- A member of the project asks or tells something about an open question, the one who started the run too. At most 200
-- messages belong to one question. p: {id, approval_id, user_id, reach: the projects where they may, text}. Returns {result, status, rings}: result is
-- `ok`, `not_found` (also for a stranger), `closed` with the status that it has, or `full`.
DECLARE
  v_approval approvals;
  v_key text;
BEGIN
  SELECT a.* INTO v_approval FROM approvals a
    JOIN memberships m ON m.project_id = a.project_id AND m.user_id = (p ->> 'user_id')::uuid
   WHERE a.id = (p ->> 'approval_id')::uuid AND p -> 'reach' ? a.project_id::text FOR UPDATE OF a;
  IF NOT FOUND THEN
    RETURN '{"result": "not_found"}';
  ELSIF v_approval.status <> 'pending' OR v_approval.expires_at <= clock_timestamp() THEN
    RETURN jsonb_build_object('result', 'closed', 'status',
      CASE v_approval.status WHEN 'pending' THEN 'expired' ELSE v_approval.status END);
  ELSIF (SELECT count(*) FROM approval_messages WHERE approval_id = v_approval.id) >= 200 THEN
    RETURN '{"result": "full"}';
  END IF;
  INSERT INTO approval_messages (id, approval_id, project_id, author_id, text)
  VALUES ((p ->> 'id')::uuid, v_approval.id, v_approval.project_id, (p ->> 'user_id')::uuid, p ->> 'text');
  UPDATE approvals SET revision = revision + 1 WHERE id = v_approval.id;
  PERFORM engine.write_audit(v_approval.project_id, 'user:' || (p ->> 'user_id'), 'approval.discuss',
                             'approval:' || v_approval.id, jsonb_build_object('message_id', p -> 'id'));
  SELECT node_key INTO v_key FROM steps WHERE id = v_approval.step_id;
  RETURN jsonb_build_object('result', 'ok', 'rings', engine.emit(jsonb_build_array(jsonb_build_object(
    'run_id', v_approval.run_id, 'kind', 'approval.discussed', 'step_id', v_approval.step_id,
    'data', jsonb_build_object('approval_id', v_approval.id, 'key', v_key, 'by', p ->> 'user_id')))));
END $$;
