CREATE OR REPLACE FUNCTION engine.put_question(
  p_step steps, p_call calls, p_asked jsonb, p_decision uuid, p_before approvals, p_budgets uuid[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Asks people about a call. p_asked: the call as the gate proposes it, with {approval_id, approval_seconds, title,
-- rule, reason, demands, agent_version_id}. p_before: the question that this one takes the place of; what an approver
-- made of the request there is what is asked about here. p_budgets: as reserve takes them; the question names those that
-- ask about the call, too, so that a yes lets it pass them. Returns the event.
DECLARE
  v_demands jsonb := engine.demands(p_asked);
BEGIN
  INSERT INTO approvals (id, project_id, run_id, step_id, subject_kind, subject_id, request_hash, tool_hash, name,
                         agent_version_id, decision_id, title, proposed_request, edited_request, edited_hash, edited_by,
                         edited_at, status, reason, rule, demands, budgets, requested_by, expires_at, escalate_at)
  SELECT (p_asked ->> 'approval_id')::uuid, p_step.project_id, p_step.run_id, p_step.id, 'call', p_call.id,
         p_call.request_hash, p_asked ->> 'tool_hash', p_call.name, (p_asked ->> 'agent_version_id')::uuid, p_decision,
         p_asked ->> 'title', p_call.request, p_before.edited_request, p_before.edited_hash, p_before.edited_by,
         p_before.edited_at, 'pending', engine.words(p_asked), p_asked ->> 'rule', v_demands,
         engine.asking_budgets(p_step.project_id, p_budgets, p_asked), r.created_by,
         clock_timestamp() + make_interval(secs => (p_asked ->> 'approval_seconds')::float8),
         clock_timestamp() + make_interval(secs => (v_demands ->> 'escalate_after_seconds')::float8)
    FROM runs r WHERE r.id = p_step.run_id;
  RETURN jsonb_build_object(
    'run_id', p_step.run_id, 'kind', 'approval.requested', 'step_id', p_step.id,
    'data', jsonb_build_object('approval_id', p_asked ->> 'approval_id', 'key', p_step.node_key,
                               'title', p_asked ->> 'title'));
END $$;
