CREATE OR REPLACE FUNCTION engine.new_id() RETURNS uuid
LANGUAGE sql VOLATILE AS $$
-- A fresh UUIDv7: ids of rows that are listed by time sort by it, and new rows lie together in the indexes.
  SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
          || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid
$$;
