CREATE OR REPLACE FUNCTION engine.heartbeat(
  p_session uuid, p_steps uuid[], p_attempts bigint[], p_tokens uuid[], p_lease interval) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_HEARTBEAT. One statement for all steps of a process; rows that somebody has locked are passed over and count as
-- kept, but their lease is not extended. Returns {kept: [step ids], extended: [those whose lease is longer now],
-- cancel: [those that were asked to stop]}. A step that is not in `kept` is lost.
DECLARE
  v_kept jsonb;
  v_extended jsonb;
  v_cancel jsonb;
BEGIN
  UPDATE worker_sessions SET seen_at = clock_timestamp() WHERE id = p_session;
  WITH held AS (
    SELECT * FROM unnest(p_steps, p_attempts, p_tokens) AS h (id, attempt, token)),
  free AS (
    SELECT s.id FROM steps s JOIN held h ON s.id = h.id AND s.attempt = h.attempt AND s.claim_token = h.token
     WHERE s.status = 'running' ORDER BY s.id FOR UPDATE OF s SKIP LOCKED),
  extended AS (
    UPDATE steps s SET lease_expires_at = clock_timestamp() + p_lease FROM free WHERE s.id = free.id
      RETURNING s.id)
  SELECT jsonb_agg(s.id), jsonb_agg(s.id) FILTER (WHERE s.cancel_requested), (SELECT jsonb_agg(id) FROM extended)
    INTO v_kept, v_cancel, v_extended
    FROM steps s JOIN held h ON s.id = h.id AND s.attempt = h.attempt AND s.claim_token = h.token
   WHERE s.status = 'running';
  RETURN jsonb_build_object('kept', coalesce(v_kept, '[]'), 'extended', coalesce(v_extended, '[]'),
                            'cancel', coalesce(v_cancel, '[]'));
END $$;
