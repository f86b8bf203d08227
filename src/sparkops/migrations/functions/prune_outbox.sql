CREATE OR REPLACE FUNCTION engine.prune_outbox(p_limit int) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- Removes up to p_limit entries that were delivered more than a day ago, and returns how many. The application may
-- delete nothing by itself, so this runs as the owner; what has not been delivered stays.
  WITH old AS (
    SELECT id FROM outbox WHERE status = 'delivered' AND ended_at < clock_timestamp() - interval '1 day'
     ORDER BY ended_at LIMIT p_limit FOR UPDATE SKIP LOCKED),
  gone AS (
    DELETE FROM outbox o USING old WHERE o.id = old.id RETURNING o.id)
  SELECT count(*) FROM gone;
$$;
