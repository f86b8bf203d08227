CREATE OR REPLACE FUNCTION engine.event_lock(p_project uuid, p_name text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
-- The advisory lock of one event name in one project.
  SELECT hashtextextended('received_event:' || p_project || ':' || p_name, 0);
$$;
