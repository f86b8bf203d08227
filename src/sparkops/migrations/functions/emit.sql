CREATE OR REPLACE FUNCTION engine.emit(p_events jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Appends [{run_id, kind, step_id, data}] to the logs of their runs, in the order given, without a gap.
-- Returns the rings to publish after the commit: [{run_id, project_id, seq}].
-- Always the last thing a transaction does: the counters are the last rows that it locks, in the order of their ids.
-- What subscribers want of it goes to the outbox here, so that it is told if and only if it is committed.
DECLARE
  v_rings jsonb;
  v_runs uuid[];
  v_after bigint[];
BEGIN
  PERFORM 1 FROM run_counters c
    WHERE c.run_id IN (SELECT (e ->> 'run_id')::uuid FROM jsonb_array_elements(p_events) e)
    ORDER BY c.run_id FOR UPDATE;
  WITH event AS (
    SELECT (e ->> 'run_id')::uuid AS run_id, e ->> 'kind' AS kind, (e ->> 'step_id')::uuid AS step_id,
           coalesce(e -> 'data', '{}') AS data, n
      FROM jsonb_array_elements(p_events) WITH ORDINALITY AS t (e, n)),
  grown AS (
    SELECT run_id, count(*) AS added FROM event GROUP BY run_id),
  counter AS (
    UPDATE run_counters c SET last_seq = c.last_seq + g.added
      FROM grown g WHERE c.run_id = g.run_id
      RETURNING c.run_id, c.project_id, c.last_seq, g.added),
  appended AS (
    INSERT INTO events (run_id, seq, project_id, kind, step_id, data)
    SELECT c.run_id, c.last_seq - c.added + row_number() OVER (PARTITION BY c.run_id ORDER BY e.n),
           c.project_id, e.kind, e.step_id, e.data
      FROM event e JOIN counter c USING (run_id))
  SELECT jsonb_agg(jsonb_build_object('run_id', run_id, 'project_id', project_id, 'seq', last_seq)),
         array_agg(run_id), array_agg(last_seq - added)
    INTO v_rings, v_runs, v_after FROM counter;
  IF EXISTS (SELECT 1 FROM subscriptions WHERE active) THEN
    PERFORM engine.fill_outbox(v_runs, v_after);
  END IF;
  RETURN coalesce(v_rings, '[]');
END $$;
