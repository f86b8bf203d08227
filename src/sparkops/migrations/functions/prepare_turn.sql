CREATE OR REPLACE FUNCTION engine.prepare_turn(p jsonb, p_step steps, p_budgets uuid[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- What T_PREPARE does for one turn of one step, as prepare takes it. The caller holds the lease of p_step and has locked
-- p_budgets, over which the calls are held (NULL: over none), and those over which what is settled here is held.
-- Returns {verdicts, events}, or what says that nothing was written.
DECLARE
  v_policy bigint;
  v_asked jsonb;
  v_known calls;
  v_met boolean;
  v_one jsonb;
  v_edits jsonb;
  v_agreed jsonb;
  v_differs boolean;
  v_verdicts jsonb := '[]';
  v_events jsonb := '[]';
BEGIN
  IF p_step.cancel_requested THEN
    RAISE EXCEPTION 'step % was asked to stop', p_step.id USING ERRCODE = 'SF006';
  END IF;
  v_policy := engine.policy_stamp(p_step.project_id);
  IF v_policy <> (p ->> 'policy_version')::bigint THEN
    RETURN jsonb_build_object('policy_version', v_policy);
  END IF;
  -- A step that is held for the first time has asked nobody yet. While it is held nobody's answer changes anything.
  IF p_step.attempt > 1 THEN
    SELECT jsonb_agg(jsonb_build_object('seq', c.seq, 'request', a.edited_request, 'request_hash', a.edited_hash))
      INTO v_edits
      FROM jsonb_array_elements(p -> 'calls') AS asked (one)
      JOIN calls c ON c.run_id = p_step.run_id AND c.step_id = p_step.id AND c.seq = (asked.one ->> 'seq')::bigint
                  AND c.status IN ('waiting_approval', 'prepared')
      JOIN approvals a ON a.id = c.approval_id AND a.edited_hash IS DISTINCT FROM asked.one ->> 'edited_hash';
    IF v_edits IS NOT NULL THEN
      RETURN jsonb_build_object('edits', v_edits);
    END IF;
  END IF;
  IF p -> 'sent_before' <> 'null' THEN
    IF (p ->> 'sent_before')::bigint <> (
         SELECT count(*) FROM calls c WHERE c.run_id = p_step.run_id AND c.sends > 0 AND NOT (
           c.step_id = p_step.id AND c.seq IN (SELECT (a ->> 'seq')::bigint FROM jsonb_array_elements(p -> 'calls') a)))
    THEN
      RETURN jsonb_build_object('policy_version', v_policy);
    END IF;
    -- What goes out now because people agreed counts for the calls after it. Nobody answers while the step is held.
    SELECT jsonb_agg(asked.seq) FILTER (WHERE asked.goes), bool_or(asked.goes <> asked.counted) INTO v_agreed, v_differs
      FROM (SELECT c.seq, engine.covers(a.demands, engine.demands(one)) AND engine.lets_out(a, one) AS goes,
                   coalesce((one -> 'agreed')::boolean, false) AS counted
              FROM jsonb_array_elements(p -> 'calls') AS one
              JOIN calls c ON c.run_id = p_step.run_id AND c.step_id = p_step.id AND c.seq = (one ->> 'seq')::bigint
                          AND c.status = 'waiting_approval'
              JOIN approvals a ON a.id = c.approval_id
             WHERE one ->> 'outcome' = 'require_approval') AS asked;
    IF v_differs THEN
      RETURN jsonb_build_object('agreed', coalesce(v_agreed, '[]'));
    END IF;
  END IF;

  IF p ? 'results' THEN
    v_events := engine.record_calls(p_step, p -> 'results');
  END IF;
  FOR v_asked IN SELECT * FROM jsonb_array_elements(p -> 'calls') LOOP
    SELECT * INTO v_known FROM calls
      WHERE run_id = p_step.run_id AND step_id = p_step.id AND seq = (v_asked ->> 'seq')::bigint FOR UPDATE;
    v_met := FOUND;
    v_one := CASE WHEN v_met THEN engine.resume(p_step, v_known, v_asked, (p -> 'again')::boolean, v_policy, p_budgets)
                  ELSE engine.propose(p_step, v_asked, v_policy, p_budgets) END;
    v_verdicts := v_verdicts || jsonb_build_array(v_one -> 'verdict');
    v_events := v_events || (v_one -> 'events');
  END LOOP;

  IF v_verdicts @? '$[*] ? (@.verdict == "uncertain")' THEN
    v_events := v_events || engine.park(p_step, 'uncertain', NULL);
  END IF;
  RETURN jsonb_build_object('verdicts', v_verdicts, 'events', v_events);
END $$;
