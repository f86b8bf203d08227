CREATE OR REPLACE FUNCTION engine.remind_approvals(p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_GOVERN. Of open questions, half of whose time has gone by without an answer, the log of their run says so,
-- once. What somebody holds is passed over until the next time. Returns {rings}.
DECLARE
  v_events jsonb;
BEGIN
  WITH due AS (
    SELECT id FROM approvals
     WHERE status = 'pending' AND reminded_at IS NULL AND expires_at > clock_timestamp()
       AND requested_at + (expires_at - requested_at) / 2 <= clock_timestamp()
     LIMIT p_limit FOR UPDATE SKIP LOCKED),
  reminded AS (
    UPDATE approvals a SET reminded_at = clock_timestamp() FROM due WHERE a.id = due.id RETURNING a.*)
  SELECT jsonb_agg(jsonb_build_object(
           'run_id', r.run_id, 'kind', 'approval.reminded', 'step_id', r.step_id, 'data', jsonb_build_object(
             'approval_id', r.id, 'key', s.node_key, 'title', r.title, 'expires_at', r.expires_at)))
    INTO v_events FROM reminded r LEFT JOIN steps s ON s.id = r.step_id;
  RETURN jsonb_build_object('rings', engine.emit(coalesce(v_events, '[]')));
END $$;
