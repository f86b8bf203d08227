CREATE OR REPLACE FUNCTION engine.decide(
  p_run uuid, p_step uuid, p_project uuid, p_kind text, p_id uuid, p_hash text, p_stamp bigint, p_verdict jsonb)
RETURNS uuid
LANGUAGE plpgsql AS $$
-- Writes down what the rules said about a run, a step or a call, and what it says was broken. p_verdict: {outcome, subject, name,
-- policy_id, rule_version, rule, severity, reason, facts, facts_digest, monitored, duration_us}. Returns the decision.
DECLARE
  v_id uuid := engine.new_id();
  v_monitored jsonb := nullif(nullif(p_verdict -> 'monitored', 'null'), '[]');
BEGIN
  INSERT INTO policy_decisions (id, project_id, run_id, step_id, subject, subject_kind, subject_id, name, request_hash,
                                policy_version, outcome, policy_id, rule_version, rule, severity, reason, facts,
                                facts_digest, monitored, duration_us)
  VALUES (v_id, p_project, p_run, p_step, p_verdict ->> 'subject', p_kind, p_id, p_verdict ->> 'name', p_hash, p_stamp,
          p_verdict ->> 'outcome', (p_verdict ->> 'policy_id')::uuid, (p_verdict ->> 'rule_version')::bigint,
          p_verdict ->> 'rule', p_verdict ->> 'severity', p_verdict ->> 'reason', p_verdict -> 'facts',
          p_verdict ->> 'facts_digest', v_monitored, (p_verdict ->> 'duration_us')::bigint);
  IF p_verdict ->> 'outcome' = 'deny' OR v_monitored IS NOT NULL THEN
    PERFORM engine.note_violations(ARRAY[v_id]);
  END IF;
  RETURN v_id;
END $$;
