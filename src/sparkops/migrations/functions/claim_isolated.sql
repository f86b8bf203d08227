CREATE OR REPLACE FUNCTION engine.claim_isolated(
  p_queues text[], p_limit int, p_empty boolean, p_session uuid, p_epoch uuid, p_lease interval) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_CLAIM of steps that must not run with others, by a process that was started for such steps: either up to p_limit of
-- those that are suspected together, or one that must be alone (see `alone`), and that only when p_empty says that the
-- process holds nothing and it is true: an answer to a claim may have been lost. The first in line decides which, so that neither kind keeps the other waiting for good.
-- Returns {claims, rings}. Raises SF005: the process belongs to another epoch of this database.
DECLARE
  v_alone boolean;
  v_candidates uuid[];
  v_taken jsonb;
BEGIN
  IF p_epoch IS DISTINCT FROM (SELECT epoch FROM system) THEN
    RAISE EXCEPTION 'this worker belongs to another epoch of the database' USING ERRCODE = 'SF005';
  END IF;
  -- A few more than wanted, because others may be taking the first.
  WITH line AS (
    SELECT s.id, engine.alone(s) AS alone, row_number() OVER (ORDER BY s.priority, s.not_before, s.id) AS place
      FROM steps s
     WHERE s.status = 'ready' AND s.isolate AND NOT s.held AND s.queue = ANY (p_queues)
       AND s.not_before <= clock_timestamp()
     ORDER BY s.priority, s.not_before, s.id LIMIT 16 + p_limit),
  head AS (SELECT alone FROM line WHERE place = 1),
  turn AS (SELECT min(l.place) AS place FROM line l, head h WHERE l.alone <> h.alone)
  SELECT (SELECT alone FROM head), array_agg(l.id ORDER BY l.place)
    INTO v_alone, v_candidates
    FROM line l, turn t WHERE t.place IS NULL OR l.place < t.place;
  IF v_candidates IS NULL OR v_alone AND NOT p_empty
     OR p_empty AND EXISTS (SELECT 1 FROM steps WHERE worker_session = p_session AND status = 'running') THEN
    RETURN '{"claims": [], "rings": []}';
  END IF;
  v_taken := engine.take(v_candidates, CASE WHEN v_alone THEN 1 ELSE p_limit END, p_session, p_lease);
  RETURN jsonb_build_object('claims', v_taken -> 'claims', 'rings', engine.emit(v_taken -> 'events'));
END $$;
