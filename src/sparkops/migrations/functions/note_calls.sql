CREATE OR REPLACE FUNCTION engine.note_calls(p_calls jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Calls of tools that touch nothing outside their process, written down whole with the end of their step: the decision
-- that allowed each, and what came of it; they were never `prepared`, as nothing left. The caller has closed or holds the steps, and has seen to it that the
-- decisions were made under the rules of today. p_calls: [{run_id, project_id, step_id, attempt, id, seq, name,
-- tool_hash, request_hash, request, policy_version, status: done | failed, response, error, seconds, and what `decide`
-- takes}]. Returns the events.
DECLARE
  v_events jsonb;
  v_watched uuid[];
BEGIN
  WITH noted AS (
    SELECT *, engine.new_id() AS decision_id FROM jsonb_to_recordset(p_calls) AS c (
      run_id uuid, project_id uuid, step_id uuid, key text, attempt bigint, id uuid, seq bigint, name text,
      tool_hash text, request_hash text, request jsonb, policy_version bigint, rule text, reason text, facts jsonb,
      policy_id uuid, rule_version bigint, severity text, facts_digest text, monitored jsonb,
      duration_us bigint,
      status text, response jsonb, error jsonb, seconds float8, labels text[])),
  decided AS (
    INSERT INTO policy_decisions (id, project_id, run_id, step_id, subject, subject_kind, subject_id, name,
                                  request_hash, policy_version, outcome, policy_id, rule_version, rule, severity,
                                  reason, facts, facts_digest, monitored, duration_us)
    SELECT n.decision_id, n.project_id, n.run_id, n.step_id, 'tool.call', 'call', n.id, n.name, n.request_hash,
           n.policy_version, 'allow', n.policy_id, n.rule_version, n.rule, n.severity, n.reason, n.facts,
           n.facts_digest, nullif(nullif(n.monitored, 'null'), '[]'), n.duration_us FROM noted n
    RETURNING id, monitored),
  called AS (
    INSERT INTO calls (run_id, id, project_id, step_id, seq, kind, name, tool_hash, request_hash, request,
                       effect_class, status, decision_id, attempt, sends, response, error, labels, proposed_at,
                       finished_at)
    SELECT n.run_id, n.id, n.project_id, n.step_id, n.seq, 'tool', n.name, n.tool_hash, n.request_hash, n.request,
           'pure', n.status, n.decision_id, n.attempt, 1, nullif(n.response, 'null'), nullif(n.error, 'null'), coalesce(n.labels, '{}'),
           clock_timestamp() - make_interval(secs => n.seconds), clock_timestamp()
      FROM noted n)
  SELECT jsonb_agg(jsonb_build_object(
           'run_id', n.run_id, 'kind', 'call.' || n.status, 'step_id', n.step_id, 'data', jsonb_build_object(
             'call_id', n.id, 'key', n.key, 'seq', n.seq, 'kind', 'tool', 'name', n.name, 'status', n.status,
             'cost_micros', 0))),
         (SELECT array_agg(id) FROM decided WHERE monitored IS NOT NULL)
    INTO v_events, v_watched FROM noted n;
  IF v_watched IS NOT NULL THEN
    PERFORM engine.note_violations(v_watched);
  END IF;
  RETURN coalesce(v_events, '[]');
END $$;
