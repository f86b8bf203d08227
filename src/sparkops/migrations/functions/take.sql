CREATE OR REPLACE FUNCTION engine.take(p_steps uuid[], p_limit int, p_session uuid, p_lease interval) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Gives up to p_limit of these ready steps to a worker under a lease, in the order of the array, each with a fresh
-- random token. Never waits: a row that somebody else holds is passed over.
-- Returns {claims: [what the worker needs to run each], events}.
DECLARE
  v_taken uuid[];
  v_claims jsonb;
  v_events jsonb;
BEGIN
  WITH free AS (
    SELECT s.id FROM steps s
     WHERE s.id = ANY (p_steps) AND s.status = 'ready' AND NOT s.held AND NOT s.cancel_requested
       AND s.not_before <= clock_timestamp()
     ORDER BY array_position(p_steps, s.id) LIMIT p_limit
     FOR UPDATE SKIP LOCKED),
  taken AS (
    UPDATE steps s
       SET status = 'running', attempt = s.attempt + 1, claim_token = gen_random_uuid(), worker_session = p_session,
           lease_expires_at = clock_timestamp() + p_lease, step_deadline_at = clock_timestamp() + s.timeout,
           started_at = coalesce(s.started_at, clock_timestamp()), waiting_for = NULL, wake_at = NULL
      FROM free WHERE s.id = free.id
      RETURNING s.*),
  attempts AS (
    INSERT INTO step_attempts (run_id, step_id, attempt, project_id, claim_token, worker_session)
    SELECT t.run_id, t.id, t.attempt, t.project_id, t.claim_token, p_session FROM taken t)
  SELECT array_agg(t.id),
         jsonb_agg(engine.step_event(t, 'step.started', jsonb_build_object('started_at', t.started_at)))
    INTO v_taken, v_events FROM taken t;

  SELECT jsonb_agg(jsonb_build_object(
      'step_id', s.id, 'run_id', s.run_id, 'project_id', s.project_id, 'key', s.node_key, 'path', s.path, 'type', s.type,
      'attempt', s.attempt, 'token', s.claim_token, 'failures', s.failures, 'hands_over', s.hands_over,
      'isolate', s.isolate, 'timeout_seconds', extract(epoch FROM s.timeout)::float8,
      'workflow_id', r.workflow_id, 'workflow_version_id', r.workflow_version_id, 'pins', r.pins,
      'requested_by', r.created_by,
      'input', CASE WHEN s.reads_input THEN r.input END,
      'frame', CASE WHEN s.reads_frame THEN engine.frame_view(s.parent_id, s.frame_no) END,
      'steps', CASE WHEN s.reads = '{}' THEN '{}' ELSE (
        SELECT coalesce(jsonb_object_agg(n.node_key,
                 jsonb_build_object('status', n.status, 'output', n.output)), '{}')
          FROM steps n WHERE n.id = ANY (s.reads)) END,
      'journal', CASE WHEN s.attempt = 1 THEN '[]' ELSE engine.journal(s.run_id, s.id) END))
    INTO v_claims
    FROM steps s JOIN runs r ON r.id = s.run_id WHERE s.id = ANY (v_taken);
  RETURN jsonb_build_object('claims', coalesce(v_claims, '[]'), 'events', coalesce(v_events, '[]'));
END $$;
