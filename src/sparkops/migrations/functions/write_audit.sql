CREATE OR REPLACE FUNCTION engine.write_audit(
  p_project uuid, p_actor text, p_action text, p_object text, p_detail jsonb,
  p_before jsonb DEFAULT NULL, p_after jsonb DEFAULT NULL, p_origin jsonb DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
-- Adds one line to the audit trail; the trigger of the table fills its hash and puts it on the list of those to be
-- sealed. p_origin: {request_id, address, via} of who asked; NULL: of the request that this transaction belongs to, if
-- there is one (the setting `sparkops.origin`, which `engine.context.call` sets).
  INSERT INTO audit (project_id, actor, via, address, request_id, action, object, detail, before, after, content_hash)
  SELECT p_project, p_actor, o ->> 'via', o ->> 'address', o ->> 'request_id', p_action, p_object,
         coalesce(p_detail, '{}'), p_before, p_after, ''
    FROM (SELECT coalesce(p_origin, nullif(current_setting('sparkops.origin', true), '')::jsonb)) AS asked (o);
$$;
