CREATE OR REPLACE FUNCTION engine.halted() RETURNS uuid[]
LANGUAGE sql AS $$
-- The projects in which nothing may start; with the nil UUID among them, that is all. The table is all but empty.
  SELECT coalesce(array_agg(DISTINCT scope_id), '{}') FROM halts WHERE released_at IS NULL AND scope <> 'workflow';
$$;
