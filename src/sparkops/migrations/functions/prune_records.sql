CREATE OR REPLACE FUNCTION engine.prune_records(p_table text, p_keep interval, p_limit int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Removes up to p_limit rows that have been over for longer than p_keep, of one of the tables that are named here, and
-- returns how many. The application may delete nothing of these by itself, so this runs as the owner and looks at the
-- clock of the database. What is a record of safety is kept for a day at least, and the last use of a secret always.
DECLARE
  v_before timestamptz := clock_timestamp() - greatest(p_keep, CASE
    WHEN p_table IN ('secret_uses', 'security_events', 'sessions', 'account_links') THEN interval '1 day' ELSE '0' END);
  v_over text := CASE p_table
    WHEN 'attempts' THEN 'forget_at < $1'
    WHEN 'idempotency_keys' THEN 'expires_at < $1'
    WHEN 'account_links' THEN 'expires_at < $1'
    WHEN 'sessions' THEN 'expires_at < $1'
    WHEN 'secret_uses' THEN 'at < $1 AND EXISTS (SELECT 1 FROM secret_uses n WHERE n.project_id = t.project_id
                              AND n.name = t.name AND n.id > t.id AND n.scope = t.scope)'
    WHEN 'security_events' THEN 'at < $1' END;
  v_count bigint;
BEGIN
  IF v_over IS NULL THEN
    RAISE EXCEPTION 'nothing of % is removed by its age', p_table USING ERRCODE = 'invalid_parameter_value';
  END IF;
  EXECUTE format('DELETE FROM %1$I WHERE ctid = ANY (ARRAY(
                    SELECT t.ctid FROM %1$I t WHERE %2$s LIMIT $2 FOR UPDATE SKIP LOCKED))', p_table, v_over)
    USING v_before, p_limit;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;
