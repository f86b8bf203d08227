CREATE OR REPLACE FUNCTION engine.drop_runs(p_runs uuid[]) RETURNS void
LANGUAGE plpgsql AS $$
-- Removes runs with all that belongs to them, in one transaction, so that no half of a run is ever seen. What was
-- counted on budgets stays: the ledger, the reservations and the allowance of the run. Whoever works on a step is waited
-- for, and finds nothing afterwards. It has no right of its own: only functions that run as the owner may use it.
BEGIN
  PERFORM 1 FROM runs WHERE id = ANY (p_runs) ORDER BY id FOR UPDATE;
  PERFORM 1 FROM steps WHERE run_id = ANY (p_runs) ORDER BY id FOR UPDATE;
  DELETE FROM calls WHERE run_id = ANY (p_runs);
  DELETE FROM step_attempts WHERE run_id = ANY (p_runs);
  DELETE FROM approvals WHERE run_id = ANY (p_runs);
  DELETE FROM artifacts WHERE run_id = ANY (p_runs);
  DELETE FROM violations WHERE run_id = ANY (p_runs);
  DELETE FROM policy_decisions WHERE run_id = ANY (p_runs);
  DELETE FROM outbox o USING subscriptions s
   WHERE o.subscription = s.name AND o.run_id = ANY (p_runs) AND o.status <> 'pending';
  DELETE FROM unadvanced WHERE run_id = ANY (p_runs);
  DELETE FROM frames f USING steps s WHERE f.parent_id = s.id AND s.run_id = ANY (p_runs) AND s.type IN ('map', 'loop');
  DELETE FROM expansions e USING steps s WHERE e.step_id = s.id AND s.run_id = ANY (p_runs) AND s.type IN ('map', 'loop');
  DELETE FROM run_counters WHERE run_id = ANY (p_runs);
  DELETE FROM events WHERE run_id = ANY (p_runs);
  DELETE FROM steps WHERE run_id = ANY (p_runs);
  DELETE FROM runs WHERE id = ANY (p_runs);
END $$;
