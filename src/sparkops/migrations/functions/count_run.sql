CREATE OR REPLACE FUNCTION engine.count_run(p_run uuid, p_consented uuid[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_ACCEPT, of T_CLEAR for a run that people let begin, or of T_ADMIT for one that waited for a budget: it is
-- counted against the budgets that limit runs, once, for a run is accepted once, and one that waited leaves that state
-- with this. Sub-workflows belong to the run at the top. p_consented: the definitions that people let it pass where they ask.
-- Returns the events. Raises SF008, with what is in the way in DETAIL: there is no room, and nothing is written.
DECLARE
  v_budgets uuid[];
  v_way record;
  v_reached jsonb;
BEGIN
  v_budgets := engine.budgets_of(p_run, NULL);
  v_budgets := ARRAY(SELECT id FROM budgets WHERE id = ANY (v_budgets) AND limit_runs IS NOT NULL);
  IF v_budgets = '{}' THEN
    RETURN '[]';
  END IF;
  PERFORM 1 FROM budgets WHERE id = ANY (v_budgets) ORDER BY id FOR UPDATE;
  SELECT o.*, d.name, d.id AS definition_id, b.ends_at INTO v_way
    FROM engine.budget_over(v_budgets, 0, 0, 0, 1) o JOIN budgets b ON b.id = o.id
    JOIN budget_definitions d ON d.id = b.definition_id
   WHERE o.beyond AND o.action <> 'notify' AND NOT (o.action = 'require_approval' AND d.id = ANY (p_consented))
   ORDER BY array_position(ARRAY['deny', 'pause', 'require_approval'], o.action), o.percent DESC, o.id LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '%', engine.budget_reason(v_way.name, 'runs', v_way.of, v_way.used, 1, v_way.percent)
      USING ERRCODE = 'SF008', DETAIL = jsonb_build_object(
        'budget_id', v_way.definition_id, 'name', v_way.name, 'action', v_way.action, 'resets_at', v_way.ends_at)::text;
  END IF;
  SELECT coalesce(jsonb_agg(to_jsonb(o)), '[]') INTO v_reached
    FROM engine.budget_over(v_budgets, 0, 0, 0, 1) o WHERE o.action = 'notify' OR o.beyond;
  UPDATE budgets SET runs = runs + 1, changed_at = clock_timestamp() WHERE id = ANY (v_budgets);
  INSERT INTO ledger_entries (id, project_id, budget_id, run_id, call_id, send_no, amount_micros, kind)
  SELECT gen_random_uuid(), r.project_id, b, r.id, r.id, 0, 0, 'run' FROM unnest(v_budgets) b, runs r WHERE r.id = p_run;
  RETURN engine.budget_notices(p_run, NULL, v_reached);
END $$;
