CREATE OR REPLACE FUNCTION engine.unsealed(p_limit int) RETURNS jsonb
LANGUAGE sql AS $$
-- What the next seal is to cover: up to p_limit lines that no seal covers, in the order of their numbers, and the seal
-- that it follows. A line that is committed late is on the list when it is committed, whatever its number.
-- Returns {at, number, lines, mac: of the last seal, null without one; ids, hashes}.
  SELECT jsonb_build_object(
    'at', clock_timestamp(), 'number', l.number, 'lines', l.lines, 'mac', l.mac,
    'ids', coalesce(w.ids, '[]'), 'hashes', coalesce(w.hashes, '[]'))
    FROM (SELECT jsonb_agg(n.id ORDER BY n.id) AS ids, jsonb_agg(n.content_hash ORDER BY n.id) AS hashes
            FROM (SELECT a.id, a.content_hash FROM audit_unsealed u JOIN audit a ON a.id = u.audit_id
                   ORDER BY u.audit_id LIMIT p_limit) n) w
    LEFT JOIN (SELECT number, lines, mac FROM audit_seals ORDER BY number DESC LIMIT 1) l ON true;
$$;
