CREATE OR REPLACE FUNCTION engine.judge_run(p_run uuid, p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- What the rules say about a run that is to begin, or about its output, written down. Where they ask for consent people
-- are asked once; what they agreed to counts as long as the rules of the moment do not deny, and do not demand something
-- else, and no budget asks that did not: then the question is asked anew. A no, said or by letting the time go by, stays
-- one, also where nobody asks any more.
-- The caller holds the lock of the run and has judged under the rules of now.
-- p: {kind: run | output, policy_version, name: of the workflow, title, request, request_hash, approval_id,
-- approval_seconds, budgets: [{budget_id, …}], those that ask, and what `decide` takes}.
-- Returns {status: allowed | denied | pending | rejected | expired | withdrawn, approval_id, comment, events}.
DECLARE
  v_run runs;
  v_asked approvals;
  v_demands jsonb := engine.demands(p);
  v_budgets jsonb := coalesce(p -> 'budgets', '[]');
  v_decision uuid;
  v_status text := CASE p ->> 'outcome' WHEN 'allow' THEN 'allowed' WHEN 'deny' THEN 'denied' END;
  v_events jsonb := '[]';
BEGIN
  SELECT * INTO v_run FROM runs WHERE id = p_run;
  SELECT * INTO v_asked FROM approvals
    WHERE subject_kind = p ->> 'kind' AND subject_id = v_run.id ORDER BY id DESC LIMIT 1 FOR UPDATE;
  v_decision := engine.decide(v_run.id, NULL, v_run.project_id, 'run', v_run.id, p ->> 'request_hash',
                              (p ->> 'policy_version')::bigint, p);
  IF v_status = 'allowed' AND v_asked.status IN ('rejected', 'expired') THEN
    v_status := NULL;
  END IF;
  IF v_status IS NOT NULL OR NOT engine.covers(v_asked.demands, v_demands) OR v_asked.request_hash <> p ->> 'request_hash'
     OR EXISTS (SELECT 1 FROM jsonb_array_elements(v_budgets) b
                 WHERE NOT v_asked.budgets @> jsonb_build_array(jsonb_build_object('budget_id', b -> 'budget_id'))) THEN
    UPDATE approvals SET status = 'withdrawn'
     WHERE id = v_asked.id AND status IN ('pending', 'approved')
       AND (v_status IS NOT NULL OR expires_at > clock_timestamp());
    IF FOUND THEN
      v_asked := NULL;
    END IF;
  END IF;
  IF v_status IS NOT NULL THEN
    NULL;
  ELSIF v_asked.id IS NULL THEN
    INSERT INTO approvals (id, project_id, run_id, subject_kind, subject_id, request_hash, name, title,
                           proposed_request, status, reason, rule, decision_id, demands, budgets,
                           requested_by, expires_at, escalate_at)
    VALUES ((p ->> 'approval_id')::uuid, v_run.project_id, v_run.id, p ->> 'kind', v_run.id, p ->> 'request_hash',
            p ->> 'name', p ->> 'title', p -> 'request', 'pending', engine.words(p), p ->> 'rule', v_decision, v_demands,
            v_budgets, v_run.created_by,
            clock_timestamp() + make_interval(secs => (p ->> 'approval_seconds')::float8),
            clock_timestamp() + make_interval(secs => (v_demands ->> 'escalate_after_seconds')::float8))
    RETURNING * INTO v_asked;
    v_status := 'pending';
    v_events := jsonb_build_array(jsonb_build_object(
      'run_id', v_run.id, 'kind', 'approval.requested',
      'data', jsonb_build_object('approval_id', v_asked.id, 'about', v_asked.subject_kind, 'title', v_asked.title)));
  ELSIF v_asked.expires_at <= clock_timestamp() AND v_asked.status IN ('pending', 'approved') THEN
    UPDATE approvals SET status = 'expired' WHERE id = v_asked.id;
    v_status := 'expired';
  ELSIF v_asked.status = 'approved' THEN
    UPDATE approvals SET status = 'consumed', consumed_at = clock_timestamp() WHERE id = v_asked.id;
    v_status := 'allowed';
  ELSE
    v_status := v_asked.status;
  END IF;
  RETURN jsonb_build_object('status', v_status, 'approval_id', v_asked.id, 'comment', v_asked.comment,
                            'events', v_events);
END $$;
