CREATE OR REPLACE FUNCTION engine.take(p_steps uuid[], p_limit int, p_session uuid, p_lease interval) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Gives up to p_limit of these ready steps to a worker under a lease, in the order of the array, each with a fresh
-- random token. The time of halts is given back to the deadline of each. Never waits: a row that somebody else holds is passed over, and what a halted project has, left.
-- Returns {claims: [what the worker needs to run each], events}.
DECLARE
  v_halted uuid[] := engine.halted();
  v_now timestamptz := clock_timestamp();
  v_claims jsonb;
  v_events jsonb;
BEGIN
  WITH free AS (
    SELECT s.id, CASE WHEN s.fails_at IS NOT NULL THEN engine.step_fails_at(s, v_now) END AS fails_at FROM steps s
     WHERE s.id = ANY (p_steps) AND s.status = 'ready' AND NOT s.held AND NOT s.cancel_requested
       AND s.not_before <= clock_timestamp() AND s.project_id <> ALL (v_halted)
       AND '00000000-0000-0000-0000-000000000000' <> ALL (v_halted)
     ORDER BY array_position(p_steps, s.id) LIMIT p_limit
     FOR UPDATE SKIP LOCKED),
  taken AS (
    UPDATE steps s
       SET status = 'running', attempt = s.attempt + 1, claim_token = gen_random_uuid(), worker_session = p_session,
           lease_expires_at = clock_timestamp() + p_lease, step_deadline_at = least(clock_timestamp() + s.timeout, free.fails_at),
           fails_at = free.fails_at, clock_from = CASE WHEN s.fails_at IS NOT NULL THEN v_now END,
           started_at = coalesce(s.started_at, clock_timestamp()), waiting_for = NULL, wake_at = NULL
      FROM free WHERE s.id = free.id
      RETURNING s.*),
  attempts AS (
    INSERT INTO step_attempts (run_id, step_id, attempt, project_id, claim_token, worker_session)
    SELECT t.run_id, t.id, t.attempt, t.project_id, t.claim_token, p_session FROM taken t)
  SELECT jsonb_agg(jsonb_build_object(
           'step_id', t.id, 'run_id', t.run_id, 'project_id', t.project_id, 'key', t.node_key,
           'path', t.path, 'type', t.type, 'attempt', t.attempt, 'token', t.claim_token, 'failures', t.failures, 'hands_over', t.hands_over,
           'isolate', t.isolate, 'alone', engine.alone(t), 'timeout_seconds', extract(epoch FROM t.timeout)::float8,
           'deadline_seconds', extract(epoch FROM t.fails_at - clock_timestamp())::float8,
           'workflow_id', r.workflow_id, 'workflow_version_id', r.workflow_version_id, 'pins', r.pins,
           'requested_by', r.created_by, 'policy_stamp', (
             SELECT coalesce(sum(version), 0) FROM policy_stamps
              WHERE scope_id IN (t.project_id, '00000000-0000-0000-0000-000000000000')),
           'input', CASE WHEN t.reads_input THEN r.input END, 'labels', t.labels,
           'input_labels', CASE WHEN t.reads_input AND r.labels <> '{}' THEN r.labels END,
           'frame', CASE WHEN t.reads_frame THEN engine.frame_view(t.parent_id, t.frame_no) END,
           'steps', CASE WHEN t.reads = '{}' THEN '{}' ELSE (
             SELECT coalesce(jsonb_object_agg(n.node_key, CASE WHEN n.labels = '{}'
                      THEN jsonb_build_object('status', n.status, 'output', n.output)
                      ELSE jsonb_build_object('status', n.status, 'output', n.output, 'labels', n.labels) END), '{}')
               FROM steps n WHERE n.id = ANY (t.reads)) END,
           'asked', t.attempt > 1 AND EXISTS (
             SELECT 1 FROM approvals a WHERE a.subject_kind = 'step' AND a.subject_id = t.id AND a.rule IS NOT NULL
                AND a.status IN ('pending', 'approved', 'rejected', 'expired')),
           'journal', CASE WHEN t.attempt = 1 THEN '[]' ELSE engine.journal(t.run_id, t.id) END)),
         jsonb_agg(engine.step_event(t, 'step.started', jsonb_build_object('started_at', t.started_at)))
    INTO v_claims, v_events FROM taken AS t JOIN runs r ON r.id = t.run_id;
  RETURN jsonb_build_object('claims', coalesce(v_claims, '[]'), 'events', coalesce(v_events, '[]'));
END $$;
