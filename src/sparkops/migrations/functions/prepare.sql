CREATE OR REPLACE FUNCTION engine.prepare(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_PREPARE. Writes down what a step is about to do and under which decision; only what comes back with the verdict
-- `send` may leave the process, and only after this has been committed.
-- p: {step_id, attempt, token, policy_version, again: this attempt got no answer before, calls: [{id, seq, kind, name, tool_hash, request_hash, request,
--     effect_class, bound_micros, bound_tokens, agent, approval_id, approval_seconds, title, demands, agent_version_id,
--     edited_hash: of the request that was judged, where an approver has changed it, agreed: true where the rules ask and
--     those after it were judged as if people had let it go, and what `decide` takes}],
--     sent_before: what the run had sent beside these calls, if they were judged by that; results: what came of calls
--     before these, as record_calls, but nothing unknown; missing where there is none}.
-- Returns {verdicts, rings}; or {policy_version} when the rules have changed, or what was sent, where that counts, or
-- {agreed: [seq]} where that counts and people have agreed to other calls of these than those marked as agreed, or
-- {edits: [{seq, request, request_hash}]} when approvers have made other requests of these calls (null: none any more):
-- judge again, then prepare again.
-- Raises SF001 (not held any more), SF003 (not what was recorded), SF006 (the run was asked to stop), SF007 (a stop is
-- in force).
DECLARE
  v_step steps := engine.hold_lease((p ->> 'step_id')::uuid, (p ->> 'attempt')::bigint, (p ->> 'token')::uuid);
  v_policy bigint;
  v_asked jsonb;
  v_known calls;
  v_met boolean;
  v_open uuid[];
  v_budgets uuid[];
  v_one jsonb;
  v_edits jsonb;
  v_agreed jsonb;
  v_differs boolean;
  v_verdicts jsonb := '[]';
  v_events jsonb := '[]';
BEGIN
  PERFORM engine.refuse_halted(v_step.project_id);
  IF v_step.cancel_requested THEN
    RAISE EXCEPTION 'step % was asked to stop', v_step.id USING ERRCODE = 'SF006';
  END IF;
  v_policy := engine.policy_stamp(v_step.project_id);
  IF v_policy <> (p ->> 'policy_version')::bigint THEN
    RETURN jsonb_build_object('policy_version', v_policy);
  END IF;
  -- A step that is held for the first time has asked nobody yet. While it is held nobody's answer changes anything.
  IF v_step.attempt > 1 THEN
    SELECT jsonb_agg(jsonb_build_object('seq', c.seq, 'request', a.edited_request, 'request_hash', a.edited_hash))
      INTO v_edits
      FROM jsonb_array_elements(p -> 'calls') AS asked (one)
      JOIN calls c ON c.run_id = v_step.run_id AND c.step_id = v_step.id AND c.seq = (asked.one ->> 'seq')::bigint
                  AND c.status IN ('waiting_approval', 'prepared')
      JOIN approvals a ON a.id = c.approval_id AND a.edited_hash IS DISTINCT FROM asked.one ->> 'edited_hash';
    IF v_edits IS NOT NULL THEN
      RETURN jsonb_build_object('edits', v_edits);
    END IF;
  END IF;
  IF p -> 'sent_before' <> 'null' THEN
    -- Steps that are judged by what the run has sent go one by one. The statement after this one reads a new snapshot.
    PERFORM pg_advisory_xact_lock(hashtextextended('sent/' || v_step.run_id, 0));
    IF (p ->> 'sent_before')::bigint <> (
         SELECT count(*) FROM calls c WHERE c.run_id = v_step.run_id AND c.sends > 0 AND NOT (
           c.step_id = v_step.id AND c.seq IN (SELECT (a ->> 'seq')::bigint FROM jsonb_array_elements(p -> 'calls') a)))
    THEN
      RETURN jsonb_build_object('policy_version', v_policy);
    END IF;
    -- What goes out now because people agreed counts for the calls after it. Nobody answers while the step is held.
    SELECT jsonb_agg(asked.seq) FILTER (WHERE asked.goes), bool_or(asked.goes <> asked.counted) INTO v_agreed, v_differs
      FROM (SELECT c.seq, engine.demands(one) = a.demands AND engine.lets_out(a, one) AS goes,
                   coalesce((one -> 'agreed')::boolean, false) AS counted
              FROM jsonb_array_elements(p -> 'calls') AS one
              JOIN calls c ON c.run_id = v_step.run_id AND c.step_id = v_step.id AND c.seq = (one ->> 'seq')::bigint
                          AND c.status = 'waiting_approval'
              JOIN approvals a ON a.id = c.approval_id
             WHERE one ->> 'outcome' = 'require_approval') AS asked;
    IF v_differs THEN
      RETURN jsonb_build_object('agreed', coalesce(v_agreed, '[]'));
    END IF;
  END IF;

  -- What is held already is locked together with what is to be held now: budgets are shared, and so is their order.
  IF v_step.attempt > 1 OR (p -> 'again')::boolean THEN
    v_open := ARRAY(SELECT id FROM calls WHERE run_id = v_step.run_id AND step_id = v_step.id AND status = 'prepared');
  ELSIF p ? 'results' THEN
    v_open := ARRAY(SELECT (r ->> 'call_id')::uuid FROM jsonb_array_elements(p -> 'results') r);
  END IF;
  IF v_open <> '{}' THEN
    IF EXISTS (SELECT 1 FROM jsonb_array_elements(p -> 'calls') a WHERE engine.costs(v_step.project_id, a)) THEN
      v_budgets := engine.budgets_of(v_step.run_id, p -> 'calls' -> 0 ->> 'agent');
    END IF;
    PERFORM engine.lock_budgets(v_open, coalesce(v_budgets, '{}'));
  END IF;
  IF p ? 'results' THEN
    v_events := engine.record_calls(v_step, p -> 'results');
  END IF;
  FOR v_asked IN SELECT * FROM jsonb_array_elements(p -> 'calls') LOOP
    SELECT * INTO v_known FROM calls
      WHERE run_id = v_step.run_id AND step_id = v_step.id AND seq = (v_asked ->> 'seq')::bigint FOR UPDATE;
    v_met := FOUND;
    v_one := CASE WHEN v_met THEN engine.resume(v_step, v_known, v_asked, (p -> 'again')::boolean, v_policy, v_budgets)
                  ELSE engine.propose(v_step, v_asked, v_policy, v_budgets) END;
    v_verdicts := v_verdicts || jsonb_build_array(v_one -> 'verdict');
    v_events := v_events || (v_one -> 'events');
  END LOOP;

  IF v_verdicts @? '$[*] ? (@.verdict == "uncertain")' THEN
    v_events := v_events || engine.park(v_step, 'uncertain', NULL);
  END IF;
  RETURN jsonb_build_object('verdicts', v_verdicts, 'rings', engine.emit(v_events));
END $$;
