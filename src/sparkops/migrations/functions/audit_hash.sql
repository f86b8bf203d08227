CREATE OR REPLACE FUNCTION engine.audit_hash(a audit) RETURNS text
LANGUAGE sql AS $$
-- What the hash of an audit line has to be, as its trigger fills it.
  SELECT encode(sha256(convert_to(jsonb_build_array(
    a.id, (extract(epoch FROM a.at) * 1000000)::bigint, a.project_id, a.actor, a.via, a.address, a.request_id,
    a.action, a.object, a.detail, a.before, a.after)::text, 'UTF8')), 'hex');
$$;
