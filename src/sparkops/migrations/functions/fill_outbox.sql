CREATE OR REPLACE FUNCTION engine.fill_outbox(p_runs uuid[], p_after bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
-- Puts the events that these runs have got after these numbers into the outbox, once for each active subscription that
-- wants them: of their kind, of all kinds (`*`), or of a group (`step.*`), and of their project. Called by emit in the
-- transaction of the change, and only if there is a subscription. The ids sort by time.
BEGIN
  INSERT INTO outbox (id, subscription, project_id, run_id, seq, kind, payload)
  SELECT engine.new_id(), s.name, e.project_id, e.run_id, e.seq, e.kind,
         jsonb_build_object('at', e.at, 'step_id', e.step_id, 'data', e.data)
    FROM unnest(p_runs, p_after) AS g (run_id, after)
    JOIN events e ON e.run_id = g.run_id AND e.seq > g.after
    JOIN subscriptions s ON s.active AND (s.project_id IS NULL OR s.project_id = e.project_id)
                        AND s.kinds && ARRAY[e.kind, split_part(e.kind, '.', 1) || '.*', '*']
   ORDER BY e.run_id, e.seq, s.name;
END $$;
