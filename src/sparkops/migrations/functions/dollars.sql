CREATE OR REPLACE FUNCTION engine.dollars(p_micros bigint) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
-- Micros for people: two decimals, or up to six where cents would hide the amount.
  SELECT '$' || regexp_replace((p_micros::numeric / 1000000)::numeric(30, 6)::text, '(\.\d\d\d*?)0*$', '\1');
$$;
