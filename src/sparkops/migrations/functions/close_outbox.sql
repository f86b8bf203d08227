CREATE OR REPLACE FUNCTION engine.close_outbox(
  p_token uuid, p_ids uuid[], p_error jsonb, p_max_attempts int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Ends an attempt at these entries by compare and set on the token: delivered (p_error NULL), or to be tried again after
-- a pause that doubles from one second up to five minutes, between half and all of it by chance. An entry that has used
-- all its attempts is dead, with the error, and the audit says so.
-- Returns {closed: how many, dead: [ids]}; what somebody else has taken meanwhile is not counted and not changed.
DECLARE
  v_closed int;
  v_dead jsonb;
BEGIN
  IF p_error IS NULL THEN
    UPDATE outbox
       SET status = 'delivered', claim_token = NULL, lease_expires_at = NULL, ended_at = clock_timestamp(), error = NULL
     WHERE id = ANY (p_ids) AND claim_token = p_token AND status = 'pending';
    GET DIAGNOSTICS v_closed = ROW_COUNT;
    RETURN jsonb_build_object('closed', v_closed, 'dead', '[]'::jsonb);
  END IF;
  WITH closed AS (
    UPDATE outbox o
       SET status = CASE WHEN o.attempt < p_max_attempts THEN 'pending' ELSE 'dead' END,
           next_at = clock_timestamp()
                     + least(interval '5 minutes', interval '1 second' * 2 ^ least(o.attempt - 1, 20)) * (0.5 + random() / 2),
           ended_at = CASE WHEN o.attempt >= p_max_attempts THEN clock_timestamp() END,
           claim_token = NULL, lease_expires_at = NULL, error = p_error
     WHERE o.id = ANY (p_ids) AND o.claim_token = p_token AND o.status = 'pending' RETURNING o.*),
  told AS (
    SELECT engine.write_audit(c.project_id, 'system', 'outbox.dead', 'outbox:' || c.id, jsonb_build_object(
             'subscription', c.subscription, 'run_id', c.run_id, 'seq', c.seq, 'error', p_error)), c.id
      FROM closed c WHERE c.status = 'dead')
  SELECT (SELECT count(*) FROM closed), (SELECT jsonb_agg(id) FROM told) INTO v_closed, v_dead;
  RETURN jsonb_build_object('closed', v_closed, 'dead', coalesce(v_dead, '[]'));
END $$;
