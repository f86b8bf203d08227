CREATE OR REPLACE FUNCTION engine.emit(p_events jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Appends [{run_id, kind, step_id, data}] to the logs of their runs, in the order given, without a gap.
-- Returns the rings to publish after the commit: [{run_id, project_id, seq}].
-- Always the last thing a transaction does: the counters are the last rows that it locks, in the order of their ids.
-- What subscribers want of it goes to the outbox here, so that it is told if and only if it is committed.
DECLARE
  v_runs uuid[];
  v_of jsonb[];
  v_told boolean;
  v_projects uuid[];
  v_from bigint[];
  v_rings jsonb[];
  v_counter run_counters;
BEGIN
  SELECT array_agg(run_id ORDER BY run_id), array_agg(of ORDER BY run_id), EXISTS (SELECT 1 FROM subscriptions WHERE active)
    INTO v_runs, v_of, v_told
    FROM (SELECT (e ->> 'run_id')::uuid AS run_id, jsonb_agg(e ORDER BY n) AS of
            FROM jsonb_array_elements(p_events) WITH ORDINALITY AS t (e, n) GROUP BY 1) g;
  -- One by one: an update of many would lock them in an order of its own.
  FOR i IN 1 .. coalesce(cardinality(v_runs), 0) LOOP
    UPDATE run_counters SET last_seq = last_seq + jsonb_array_length(v_of[i]) WHERE run_id = v_runs[i]
      RETURNING * INTO v_counter;
    v_projects[i] := v_counter.project_id;
    v_from[i] := v_counter.last_seq - jsonb_array_length(v_of[i]);
    v_rings[i] := jsonb_build_object('run_id', v_runs[i], 'project_id', v_counter.project_id, 'seq', v_counter.last_seq);
  END LOOP;
  INSERT INTO events (run_id, seq, project_id, kind, step_id, data)
  SELECT g.run_id, g.after + t.n, g.project_id, t.e ->> 'kind', (t.e ->> 'step_id')::uuid, coalesce(t.e -> 'data', '{}')
    FROM unnest(v_runs, v_from, v_projects, v_of) AS g (run_id, after, project_id, of)
    CROSS JOIN LATERAL jsonb_array_elements(g.of) WITH ORDINALITY AS t (e, n);
  IF v_told THEN
    PERFORM engine.fill_outbox(v_runs, v_from);
  END IF;
  RETURN coalesce(to_jsonb(v_rings), '[]');
END $$;
