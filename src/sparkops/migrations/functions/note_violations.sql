CREATE OR REPLACE FUNCTION engine.note_violations(p_decisions uuid[]) RETURNS void
LANGUAGE sql AS $$
-- What these decisions say was broken: one violation for a denial, one for each rule in mode monitor that would deny. A
-- call is judged whenever it is about to go out: what one version of such a rule says of it is one violation.
  INSERT INTO violations (id, project_id, run_id, step_id, decision_id, policy_id, rule_version, rule, severity,
                          monitored, subject, name, reason)
  SELECT engine.new_id(), d.project_id, d.run_id, d.step_id, d.id, d.policy_id, d.rule_version, d.rule,
         coalesce(d.severity, 'medium'), false, d.subject, d.name, d.reason
    FROM policy_decisions d WHERE d.id = ANY (p_decisions) AND d.outcome = 'deny'
  UNION ALL
  SELECT engine.new_id(), d.project_id, d.run_id, d.step_id, d.id, m.policy_id, m.version, m.rule, m.severity,
         true, d.subject, d.name, m.reason
    FROM policy_decisions d
    CROSS JOIN LATERAL jsonb_to_recordset(coalesce(d.monitored, '[]')) AS m (
      policy_id uuid, version bigint, rule text, effect text, reason text, severity text)
   WHERE d.id = ANY (p_decisions) AND m.effect = 'deny'
     AND NOT (d.subject_kind = 'call' AND EXISTS (
       SELECT 1 FROM violations v JOIN policy_decisions e ON e.id = v.decision_id AND e.subject_id = d.subject_id
        WHERE v.run_id = d.run_id AND v.monitored AND v.policy_id IS NOT DISTINCT FROM m.policy_id
          AND v.rule = m.rule AND v.rule_version = m.version));
$$;
