CREATE OR REPLACE FUNCTION engine.prepare(p jsonb[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_PREPARE, of turns of several steps at once. Writes down what steps are about to do and under which decisions; only what
-- comes back with the verdict `send` may leave the process, and only after this has been committed.
-- p: [{step_id, attempt, token, policy_version, again: this attempt got no answer before, calls: [{id, seq, kind, name, tool_hash, request_hash, request,
--     effect_class, bound_micros, bound_tokens, agent, approval_id, approval_seconds, title, demands, agent_version_id,
--     edited_hash: of the request that was judged, where an approver has changed it, agreed: true where the rules ask and
--     those after it were judged as if people had let it go, and what `decide` takes}],
--     sent_before: what the run had sent beside these calls, if they were judged by that; results: what came of calls
--     before these, as record_calls, but nothing unknown; missing where there is none}].
-- Returns {answers, rings}, an answer for each: {verdicts}; or {policy_version} when the rules have changed, or what was
-- sent, where that counts, or {agreed: [seq]} where that counts and people have agreed to other calls of these than those
-- marked as agreed, or {edits: [{seq, request, request_hash}]} when approvers have made other requests of these calls
-- (null: none any more): judge again, then prepare again.
-- Raises for all of them: SF001 (not held any more), SF003 (not what was recorded), SF006 (the run was asked to stop),
-- SF007 (a stop is in force).
-- Several at once are as several one after the other with nothing between. All that others wait for is locked before
-- anything is looked at, in the order in which everybody locks it: leases by id, stops, what runs have sent, budgets by id.
DECLARE
  v_steps steps[];
  v_open uuid[] := '{}';
  v_counting jsonb[];
  v_counted jsonb := '[]';
  v_place int;
  v_project uuid;
  v_run uuid;
  v_one jsonb;
  v_answers jsonb := '[]';
  v_events jsonb := '[]';
BEGIN
  FOR v_place IN SELECT n FROM unnest(p) WITH ORDINALITY AS d (doc, n) ORDER BY (d.doc ->> 'step_id')::uuid LOOP
    v_steps[v_place] := engine.hold_lease(
      (p[v_place] ->> 'step_id')::uuid, (p[v_place] ->> 'attempt')::bigint, (p[v_place] ->> 'token')::uuid);
  END LOOP;
  FOR v_project IN SELECT DISTINCT s.project_id FROM unnest(v_steps) s ORDER BY 1 LOOP
    PERFORM engine.refuse_halted(v_project);
  END LOOP;
  -- Steps that are judged by what the run has sent go one by one. Later statements read a new snapshot.
  FOR v_run IN SELECT DISTINCT v_steps[d.n].run_id FROM unnest(p) WITH ORDINALITY AS d (doc, n)
                WHERE d.doc -> 'sent_before' <> 'null' ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(hashtextextended('sent/' || v_run, 0));
  END LOOP;
  -- What is held already is locked together with what is to be held now: budgets are shared, and so is their order.
  FOR v_place IN 1 .. cardinality(p) LOOP
    IF v_steps[v_place].attempt > 1 OR (p[v_place] -> 'again')::boolean THEN
      v_open := v_open || ARRAY(SELECT id FROM calls WHERE run_id = v_steps[v_place].run_id
                                   AND step_id = v_steps[v_place].id AND status = 'prepared');
    ELSIF p[v_place] ? 'results' THEN
      v_open := v_open || ARRAY(SELECT (r ->> 'call_id')::uuid FROM jsonb_array_elements(p[v_place] -> 'results') r);
    END IF;
    IF EXISTS (SELECT 1 FROM jsonb_array_elements(p[v_place] -> 'calls') a
                WHERE engine.costs(v_steps[v_place].project_id, a)) THEN
      v_counting[v_place] := to_jsonb(engine.budgets_of(v_steps[v_place].run_id, p[v_place] -> 'calls' -> 0 ->> 'agent'));
      v_counted := v_counted || v_counting[v_place];
    END IF;
  END LOOP;
  IF v_open <> '{}' OR v_counted <> '[]' THEN
    PERFORM engine.lock_budgets(v_open, ARRAY(SELECT DISTINCT b::uuid FROM jsonb_array_elements_text(v_counted) b));
  END IF;
  FOR v_place IN 1 .. cardinality(p) LOOP
    v_one := engine.prepare_turn(p[v_place], v_steps[v_place], CASE WHEN v_counting[v_place] IS NOT NULL THEN
      ARRAY(SELECT b::uuid FROM jsonb_array_elements_text(v_counting[v_place]) b) END);
    v_events := v_events || coalesce(v_one -> 'events', '[]');
    v_answers := v_answers || jsonb_build_array(v_one - 'events');
  END LOOP;
  RETURN jsonb_build_object('answers', v_answers, 'rings', engine.emit(v_events));
END $$;
