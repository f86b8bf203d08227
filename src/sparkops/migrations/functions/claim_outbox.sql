CREATE OR REPLACE FUNCTION engine.claim_outbox(
  p_subscription text, p_limit int, p_lease interval, p_epoch uuid, p_max_attempts int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Takes up to p_limit due entries of a subscription, the oldest first, under a lease and one fresh random token. What
-- others hold is passed over. Taking is an attempt; an entry whose attempts all ended without a word, because the
-- process died each time, is dead.
-- Returns {token, entries: [{id, project_id, run_id, seq, kind, payload, attempt, created_at}], dead: [ids]}.
-- Raises SF005: the worker belongs to another epoch of this database.
DECLARE
  v_token uuid := gen_random_uuid();
  v_entries jsonb;
  v_dead jsonb;
BEGIN
  IF p_epoch IS DISTINCT FROM (SELECT epoch FROM system) THEN
    RAISE EXCEPTION 'this worker belongs to another epoch of the database' USING ERRCODE = 'SF005';
  END IF;
  WITH due AS (
    SELECT o.id FROM outbox o
     WHERE o.subscription = p_subscription AND o.status = 'pending' AND o.next_at <= clock_timestamp()
       AND (o.lease_expires_at IS NULL OR o.lease_expires_at < clock_timestamp())
       AND EXISTS (SELECT 1 FROM subscriptions s WHERE s.name = p_subscription AND s.active)
     ORDER BY o.next_at LIMIT p_limit FOR UPDATE OF o SKIP LOCKED),
  taken AS (
    UPDATE outbox o
       SET status = CASE WHEN o.attempt < p_max_attempts THEN 'pending' ELSE 'dead' END,
           attempt = o.attempt + (o.attempt < p_max_attempts)::int,
           claim_token = CASE WHEN o.attempt < p_max_attempts THEN v_token END,
           lease_expires_at = CASE WHEN o.attempt < p_max_attempts THEN clock_timestamp() + p_lease END,
           ended_at = CASE WHEN o.attempt >= p_max_attempts THEN clock_timestamp() END,
           error = CASE WHEN o.attempt < p_max_attempts THEN o.error ELSE coalesce(o.error, jsonb_build_object(
             'code', 'lost', 'message', 'the process that should have delivered it died each time')) END
      FROM due WHERE o.id = due.id RETURNING o.*),
  told AS (
    SELECT engine.write_audit(t.project_id, 'system', 'outbox.dead', 'outbox:' || t.id, jsonb_build_object(
             'subscription', t.subscription, 'run_id', t.run_id, 'seq', t.seq, 'error', t.error)), t.id
      FROM taken t WHERE t.status = 'dead')
  SELECT (SELECT jsonb_agg(jsonb_build_object(
                   'id', t.id, 'project_id', t.project_id, 'run_id', t.run_id, 'seq', t.seq, 'kind', t.kind,
                   'payload', t.payload, 'attempt', t.attempt, 'created_at', t.created_at)
                   ORDER BY t.next_at, t.run_id, t.seq) FROM taken t WHERE t.status = 'pending'),
         (SELECT jsonb_agg(id) FROM told)
    INTO v_entries, v_dead;
  RETURN jsonb_build_object('token', v_token, 'entries', coalesce(v_entries, '[]'), 'dead', coalesce(v_dead, '[]'));
END $$;
