CREATE OR REPLACE FUNCTION engine.budget_window(p_period text, p_zone text, p_root uuid)
RETURNS TABLE (key text, starts_at timestamptz, ends_at timestamptz)
LANGUAGE sql STABLE AS $$
-- The period that is going on, by the clocks of the zone: days, weeks (from Monday) and months of its calendar, hours of
-- its clock. It is that of the transaction's start, so that one transaction sees one period. p_root: the run at the
-- top, for the period `run`. The key names it among those of one budget.
  SELECT CASE p_period WHEN 'run' THEN p_root::text WHEN 'total' THEN 'total'
                       WHEN 'hour' THEN to_char(w.starts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"')
                       ELSE to_char(w.local, 'YYYY-MM-DD') END,
         w.starts, w.ends
    FROM (SELECT CASE WHEN p_period IN ('hour', 'day', 'week', 'month') THEN date_trunc(p_period, now() AT TIME ZONE p_zone) END) AS l (local)
    CROSS JOIN LATERAL (
      -- An hour is measured from now: an hour of the clock may occur twice.
      SELECT l.local,
             CASE WHEN p_period = 'hour' THEN now() - ((now() AT TIME ZONE p_zone) - l.local)
                  ELSE l.local AT TIME ZONE p_zone END AS starts,
             CASE WHEN p_period = 'hour' THEN now() - ((now() AT TIME ZONE p_zone) - l.local) + interval '1 hour'
                  WHEN l.local IS NOT NULL THEN (l.local + ('1 ' || p_period)::interval) AT TIME ZONE p_zone END AS ends) w;
$$;
