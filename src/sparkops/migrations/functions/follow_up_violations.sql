CREATE OR REPLACE FUNCTION engine.follow_up_violations(p_limit int) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- Part of T_GOVERN. Violations that have been open for longer than their severity allows, since they were found or since
-- somebody opened them again, are marked as overdue, once, and the audit trail of each project says which. What somebody
-- holds is passed over until the next time. Returns {marked}.
DECLARE
  v_of record;
  v_marked bigint := 0;
BEGIN
  FOR v_of IN
    WITH due AS (
      SELECT v.id
        FROM (VALUES ('critical', interval '1 hour'), ('high', interval '1 day'), ('medium', interval '7 days'),
                     ('low', interval '30 days')) AS allowed (severity, time)
        JOIN violations v ON v.severity = allowed.severity AND v.at <= clock_timestamp() - allowed.time
       WHERE v.status = 'open' AND v.overdue_at IS NULL AND coalesce(v.changed_at, v.at) <= clock_timestamp() - allowed.time
       LIMIT p_limit FOR UPDATE OF v SKIP LOCKED),
    marked AS (
      UPDATE violations v SET overdue_at = clock_timestamp() FROM due WHERE v.id = due.id RETURNING v.*)
    SELECT m.project_id, count(*) AS marked, jsonb_agg(jsonb_build_object(
             'id', m.id, 'severity', m.severity, 'rule', m.rule, 'open_since', coalesce(m.changed_at, m.at)) ORDER BY m.id) AS them
      FROM marked m GROUP BY m.project_id ORDER BY m.project_id
  LOOP
    PERFORM engine.write_audit(v_of.project_id, 'worker', 'violation.overdue', 'project:' || v_of.project_id,
                               jsonb_build_object('violations', v_of.them));
    v_marked := v_marked + v_of.marked;
  END LOOP;
  RETURN jsonb_build_object('marked', v_marked);
END $$;
