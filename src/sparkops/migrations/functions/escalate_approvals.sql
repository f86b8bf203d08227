CREATE OR REPLACE FUNCTION engine.escalate_approvals(p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_GOVERN. Open questions that nobody settled for as long as their rules say may from now on be answered by
-- those whom the rules name for it as well. What somebody holds is passed over until the next time. Returns {rings}.
DECLARE
  v_events jsonb;
BEGIN
  WITH due AS (
    SELECT id FROM approvals WHERE status = 'pending' AND escalated_at IS NULL AND escalate_at <= clock_timestamp()
     ORDER BY id LIMIT p_limit FOR UPDATE SKIP LOCKED),
  escalated AS (
    UPDATE approvals a SET escalated_at = clock_timestamp(), revision = revision + 1 FROM due
     WHERE a.id = due.id RETURNING a.*)
  SELECT jsonb_agg(jsonb_build_object(
           'run_id', e.run_id, 'kind', 'approval.escalated', 'step_id', e.step_id, 'data', jsonb_build_object(
             'approval_id', e.id, 'key', s.node_key, 'escalate_to', e.demands -> 'escalate_to')))
    INTO v_events FROM escalated e LEFT JOIN steps s ON s.id = e.step_id;
  RETURN jsonb_build_object('rings', engine.emit(coalesce(v_events, '[]')));
END $$;
