CREATE OR REPLACE FUNCTION engine.remove_rows(p_deletion uuid, p_token uuid, p_limit int, p_lease interval) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Removes a part of the rows of a project that is being deleted: about p_limit of them, a run always as a whole, and the
-- newest runs first, so that none is left without the run above it or the run that it was made from.
-- Every table with a column project_id is emptied, whichever there are, but for what is kept: the audit trail, what
-- happened to the platform's safety, the tombstone, and what budgets of the installation have counted.
-- Returns {state: waits | more | empty, removed: {table: rows}}; waits: an attempt still has to end or lapse.
DECLARE
  v_project uuid := engine.hold_deletion(p_deletion, p_token, p_lease);
  v_runs uuid[];
  v_table text;
  v_where text;
  v_count bigint;
  v_sum bigint := 0;
  v_removed jsonb := '{}';
BEGIN
  IF EXISTS (SELECT 1 FROM steps WHERE status = 'running' AND project_id = v_project) THEN
    RETURN jsonb_build_object('state', 'waits', 'removed', v_removed);
  END IF;
  SELECT array_agg(id) INTO v_runs FROM (
    SELECT r.id, sum(r.step_count + 1) OVER (ORDER BY r.id DESC) - r.step_count - 1 AS before
      FROM (SELECT id, step_count FROM runs WHERE project_id = v_project ORDER BY id DESC LIMIT p_limit) r) s
   WHERE before < p_limit;
  IF v_runs IS NOT NULL THEN
    PERFORM engine.drop_runs(v_runs);
    v_removed := jsonb_build_object('runs', cardinality(v_runs));
    v_sum := p_limit;
  END IF;
  FOR v_table, v_where IN
    SELECT c.relname, CASE c.relname
             WHEN 'ledger_entries' THEN
               'AND NOT EXISTS (SELECT 1 FROM budgets b WHERE b.id = t.budget_id AND b.project_id IS NULL)'
             WHEN 'reservations' THEN
               'AND NOT EXISTS (SELECT 1 FROM budgets b WHERE b.id = ANY (t.budget_ids) AND b.project_id IS NULL)'
             ELSE '' END
      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'project_id' AND NOT a.attisdropped
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
       AND c.relname NOT IN ('audit', 'security_events', 'project_deletions', 'halts', 'runs',
                             'steps', 'frames', 'expansions', 'run_counters', 'thinned_runs')
     ORDER BY c.relname = 'budget_definitions', c.relname = 'budgets', c.relname = 'workflows', c.relname
  LOOP
    EXIT WHEN v_sum >= p_limit;
    EXECUTE format('DELETE FROM %1$I WHERE ctid = ANY (ARRAY(
                      SELECT t.ctid FROM %1$I t WHERE t.project_id = $1 %2$s LIMIT $2))', v_table, v_where)
      USING v_project, p_limit - v_sum;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count > 0 THEN
      v_sum := v_sum + v_count;
      v_removed := v_removed || jsonb_build_object(v_table, v_count);
    END IF;
  END LOOP;
  UPDATE project_deletions d
     SET removed = d.removed || (SELECT coalesce(jsonb_object_agg(e.key, e.value::bigint
                                   + coalesce((d.removed ->> e.key)::bigint, 0)), '{}') FROM jsonb_each_text(v_removed) e)
   WHERE d.id = p_deletion;
  RETURN jsonb_build_object('state', CASE WHEN v_sum > 0 THEN 'more' ELSE 'empty' END, 'removed', v_removed);
END $$;
