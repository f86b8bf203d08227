CREATE OR REPLACE FUNCTION engine.demands(p_asked jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
-- What consent takes, as the judge of the rules or a workflow says in p_asked.demands: {approvers: groups of roles and
-- e-mail addresses, quorum, escalate_after_seconds, escalate_to, may_edit, rules: [{policy_id, rule, reason}] that ask}.
-- What it does not say is demanded of nobody, and asked by no rule.
  SELECT '{"approvers": [], "quorum": 1, "escalate_after_seconds": null, "escalate_to": [], "may_edit": false,
           "rules": []}'::jsonb
         || coalesce(nullif(p_asked -> 'demands', 'null'), '{}');
$$;
