CREATE OR REPLACE FUNCTION engine.stood(p_project uuid, p_since timestamptz, p_until timestamptz) RETURNS interval
LANGUAGE sql AS $$
-- For how long between these moments a halt of the project or of the installation was in force. Halts that overlap
-- count once. Those of workflows do not count: their runs are paused, and keep that themselves.
  SELECT coalesce(sum(upper(r) - lower(r)), interval '0')
    FROM unnest((
      SELECT range_agg(tstzrange(greatest(created_at, p_since), least(released_at, p_until))) FROM halts
       WHERE scope_id IN ('00000000-0000-0000-0000-000000000000', p_project) AND p_since < p_until
         AND created_at < p_until AND (released_at IS NULL OR released_at > p_since))) r;
$$;
