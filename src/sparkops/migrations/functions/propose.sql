CREATE OR REPLACE FUNCTION engine.propose(p_step steps, p_call jsonb, p_policy_version bigint, p_budgets uuid[])
RETURNS jsonb
LANGUAGE plpgsql AS $$
-- The first time a call is seen: its intent and its decision are written down; then it is denied, waits for a person,
-- or is paid for and prepared. Where a budget lets it wait nothing is written, and it is seen for the first time again.
-- p_budgets: as reserve takes them. Returns {verdict: {call_id, seq, verdict, …}, events}.
DECLARE
  v_call calls;
  v_verdict text := p_call ->> 'outcome';
  v_said jsonb := p_call;
  v_error jsonb;
  v_asked jsonb;
  v_held jsonb := '{"events": []}';
BEGIN
  v_call := jsonb_populate_record(NULL::calls, p_call);
  v_call.run_id := p_step.run_id;
  v_call.step_id := p_step.id;
  v_call.project_id := p_step.project_id;
  v_call.attempt := p_step.attempt;
  v_call.proposed_at := clock_timestamp();
  v_call.approval_id := NULL;
  v_call.sends := 0;
  v_call.cost_micros := 0;
  v_call.labels := coalesce(v_call.labels, '{}');

  IF v_verdict = 'allow' THEN
    v_held := engine.reserve(p_step, v_call.id, 1, p_call, '{}', p_budgets);
    IF v_held ->> 'verdict' = 'pause' THEN
      RETURN jsonb_build_object('events', v_held -> 'events', 'verdict', jsonb_build_object(
        'call_id', v_call.id, 'seq', v_call.seq, 'verdict', 'budget', 'waits_for', v_held -> 'waits_for'));
    ELSIF v_held ->> 'verdict' <> 'held' THEN
      v_said := engine.by_budget(p_call, v_held);
      v_verdict := v_said ->> 'outcome';
    END IF;
  END IF;
  v_call.decision_id := engine.decide(
    p_step.run_id, p_step.id, p_step.project_id, 'call', v_call.id, v_call.request_hash, p_policy_version,
    v_said || jsonb_build_object('subject', v_call.kind || '.call'));

  IF v_verdict = 'allow' THEN
    v_call.status := 'prepared';
    v_call.prepared_at := clock_timestamp();
    v_call.sends := 1;
  ELSIF v_verdict = 'deny' THEN
    v_error := jsonb_build_object('code', CASE v_said ->> 'rule' WHEN 'budget' THEN 'budget-exceeded' ELSE 'denied' END,
                                  'message', coalesce(v_said ->> 'reason', 'denied by policy'), 'rule', v_said -> 'rule');
    v_call.status := 'denied';
    v_call.error := v_error;
    v_call.finished_at := clock_timestamp();
  ELSE
    v_call.status := 'waiting_approval';
    v_call.approval_id := (p_call ->> 'approval_id')::uuid;
    v_asked := engine.put_question(p_step, v_call, v_said, v_call.decision_id, NULL, p_budgets);
  END IF;
  INSERT INTO calls SELECT v_call.*;

  RETURN jsonb_build_object(
    'verdict', jsonb_build_object(
      'call_id', v_call.id, 'seq', v_call.seq, 'send_no', v_call.sends, 'error', v_error,
      'approval_id', v_call.approval_id,
      'verdict', CASE v_verdict WHEN 'allow' THEN 'send' WHEN 'deny' THEN 'recorded' ELSE 'waiting' END,
      'status', v_call.status),
    'events', (v_held -> 'events') || jsonb_build_array(engine.call_event(p_step, v_call))
      || CASE WHEN v_asked IS NULL THEN '[]' ELSE jsonb_build_array(v_asked) END);
END $$;
