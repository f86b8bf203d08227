CREATE OR REPLACE FUNCTION engine.claim_isolated(
  p_queues text[], p_session uuid, p_epoch uuid, p_lease interval) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_CLAIM of one step that must run alone, by a process that was started for such steps and holds no other.
-- Returns {claims: [at most one], rings}. Raises SF005: the process belongs to another epoch of this database.
DECLARE
  v_candidates uuid[];
  v_taken jsonb;
BEGIN
  IF p_epoch IS DISTINCT FROM (SELECT epoch FROM system) THEN
    RAISE EXCEPTION 'this worker belongs to another epoch of the database' USING ERRCODE = 'SF005';
  END IF;
  -- A few more than one, because others may be taking the first.
  v_candidates := ARRAY(
    SELECT s.id FROM steps s
     WHERE s.status = 'ready' AND s.isolate AND NOT s.held AND s.queue = ANY (p_queues)
       AND s.not_before <= clock_timestamp()
     ORDER BY s.priority, s.not_before, s.id LIMIT 16);
  IF v_candidates = '{}' THEN
    RETURN '{"claims": [], "rings": []}';
  END IF;
  v_taken := engine.take(v_candidates, 1, p_session, p_lease);
  RETURN jsonb_build_object('claims', v_taken -> 'claims', 'rings', engine.emit(v_taken -> 'events'));
END $$;
