CREATE OR REPLACE FUNCTION engine.seal(p jsonb) RETURNS boolean
LANGUAGE plpgsql AS $$
-- Writes the seal that follows the last one, and takes its lines off the list of those to be sealed.
-- p: {number, at, ids, hashes, lines, root, previous, mac, key_id}. False: somebody else was faster, nothing was written.
DECLARE
  v_ids bigint[] := ARRAY(SELECT i::bigint FROM jsonb_array_elements_text(p -> 'ids') WITH ORDINALITY AS t (i, n) ORDER BY n);
BEGIN
  INSERT INTO audit_seals (number, at, ids, hashes, lines, root, previous, mac, key_id)
  VALUES ((p ->> 'number')::bigint, (p ->> 'at')::timestamptz, v_ids, decode(p ->> 'hashes', 'hex'),
          (p ->> 'lines')::bigint, p ->> 'root', p ->> 'previous', p ->> 'mac', p ->> 'key_id')
  ON CONFLICT (number) DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM audit_unsealed WHERE audit_id = ANY (v_ids);
  RETURN true;
END $$;
