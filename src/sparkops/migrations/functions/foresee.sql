CREATE OR REPLACE FUNCTION engine.foresee(p_beyond jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_GOVERN. Says of windows once that their spending leads beyond their limit of money: a notice as for thresholds,
-- and a line in the log of the run that was charged last. p_beyond: [{id, micros, method}], what is expected by the end of
-- the period and how that is told. Where somebody holds that run, it is said the next time. Returns {told, rings}.
DECLARE
  v_one record;
  v_run uuid;
  v_noted jsonb;
  v_told bigint := 0;
  v_events jsonb := '[]';
BEGIN
  FOR v_one IN SELECT * FROM jsonb_to_recordset(p_beyond) AS f (id uuid, micros bigint, method text) ORDER BY f.id LOOP
    SELECT l.run_id INTO v_run FROM ledger_entries l WHERE l.budget_id = v_one.id ORDER BY l.at DESC, l.id DESC LIMIT 1;
    CONTINUE WHEN NOT FOUND;
    PERFORM 1 FROM runs WHERE id = v_run FOR KEY SHARE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND AND EXISTS (SELECT 1 FROM runs WHERE id = v_run);
    v_noted := engine.budget_notices(v_run, NULL, jsonb_build_array(jsonb_build_object(
      'id', v_one.id, 'kind', 'money', 'percent', 100, 'action', 'forecast')));
    v_told := v_told + jsonb_array_length(v_noted);
    -- A run that retention has removed has no log any more.
    v_events := v_events || coalesce((
      SELECT jsonb_agg(e || jsonb_build_object('kind', 'budget.forecast', 'data', e -> 'data' || jsonb_build_object(
               'micros', v_one.micros, 'method', v_one.method)))
        FROM jsonb_array_elements(v_noted) e JOIN run_counters c ON c.run_id = v_run), '[]');
  END LOOP;
  RETURN jsonb_build_object('told', v_told, 'rings', engine.emit(v_events));
END $$;
