CREATE OR REPLACE FUNCTION engine.claim(
  p_queues text[], p_limit int, p_session uuid, p_epoch uuid, p_lease interval, p_full uuid[] DEFAULT '{}') RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_CLAIM. Up to p_limit ready steps for this worker, the heads of the projects in turn, so that one project's flood
-- does not delay another's first step. What must run alone is not taken: see claim_isolated.
-- Nothing comes from projects that are halted, nor from those in p_full, which hold their share of this worker.
-- Returns {claims, rings}. Raises SF005: the worker belongs to another epoch of this database.
DECLARE
  v_candidates uuid[];
  v_without uuid[] := engine.halted() || p_full;
  v_taken jsonb;
BEGIN
  IF p_epoch IS DISTINCT FROM (SELECT epoch FROM system) THEN
    RAISE EXCEPTION 'this worker belongs to another epoch of the database' USING ERRCODE = 'SF005';
  END IF;
  IF '00000000-0000-0000-0000-000000000000' = ANY (v_without) THEN
    RETURN '{"claims": [], "rings": []}';
  END IF;
  WITH RECURSIVE project AS (
    SELECT q.queue, (SELECT s.project_id FROM steps s WHERE s.status = 'ready' AND NOT s.held AND s.queue = q.queue
                      ORDER BY s.project_id LIMIT 1) AS project_id
      FROM unnest(p_queues) AS q (queue)
    UNION ALL
    SELECT p.queue, (SELECT s.project_id FROM steps s WHERE s.status = 'ready' AND NOT s.held AND s.queue = p.queue
                        AND s.project_id > p.project_id ORDER BY s.project_id LIMIT 1)
      FROM project p WHERE p.project_id IS NOT NULL),
  head AS (
    SELECT h.id, h.priority, h.not_before,
           row_number() OVER (PARTITION BY p.queue, p.project_id ORDER BY h.priority, h.not_before, h.id) AS turn
      FROM project p CROSS JOIN LATERAL (
        SELECT s.id, s.priority, s.not_before FROM steps s
         WHERE s.status = 'ready' AND NOT s.held AND s.queue = p.queue AND s.project_id = p.project_id
           AND s.not_before <= clock_timestamp() AND NOT s.isolate
         ORDER BY s.priority, s.not_before, s.id LIMIT 4 * p_limit) h
     WHERE p.project_id <> ALL (v_without)),
  chosen AS (
    SELECT id, row_number() OVER (ORDER BY turn, priority, not_before, id) AS place FROM head)
  SELECT array_agg(c.id ORDER BY c.place)
    INTO v_candidates FROM chosen c WHERE c.place <= 4 * p_limit;
  IF v_candidates IS NULL THEN
    RETURN '{"claims": [], "rings": []}';
  END IF;
  v_taken := engine.take(v_candidates, p_limit, p_session, p_lease);
  RETURN jsonb_build_object('claims', v_taken -> 'claims', 'rings', engine.emit(v_taken -> 'events'));
END $$;
