CREATE OR REPLACE FUNCTION engine.turn_windows(p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_GOVERN. Where the period of a window is over, the window of the present one is made, so that it is there
-- before anything is counted on it: where something was counted, and where the budget is for one member alone, whether or
-- not. Others would be made for everybody who was ever counted, for ever. Each window is looked at once.
-- Windows are made before one that is over is locked, and those that somebody holds are left to the next time.
-- Returns {turned}.
DECLARE
  v_over record;
  v_ids uuid[] := '{}';
  v_turned bigint;
BEGIN
  FOR v_over IN
    SELECT b.id, b.definition_id, b.scope_id, w.*,
           d.archived_at IS NULL
           AND (b.spent_micros + b.reserved_micros + b.spent_tokens + b.reserved_tokens + b.calls + b.runs > 0
                OR d.scope_id IS NOT NULL OR d.scope = 'installation'
                OR d.scope = 'project' AND d.project_id IS NOT NULL) AS goes_on
      FROM (SELECT * FROM budgets WHERE turned_at IS NULL AND ends_at <= now() ORDER BY ends_at LIMIT p_limit) b
      JOIN budget_definitions d ON d.id = b.definition_id
      CROSS JOIN LATERAL engine.budget_window(d.period, d.time_zone, NULL) w
     ORDER BY b.definition_id, b.scope_id, b.ends_at
  LOOP
    IF v_over.goes_on THEN
      PERFORM engine.open_window(v_over.definition_id, v_over.scope_id, v_over.key, v_over.starts_at, v_over.ends_at);
    END IF;
    v_ids := v_ids || v_over.id;
  END LOOP;
  UPDATE budgets b SET turned_at = clock_timestamp()
    FROM (SELECT id FROM budgets WHERE id = ANY (v_ids) AND turned_at IS NULL FOR NO KEY UPDATE SKIP LOCKED) over
   WHERE b.id = over.id;
  GET DIAGNOSTICS v_turned = ROW_COUNT;
  RETURN jsonb_build_object('turned', v_turned);
END $$;
