CREATE OR REPLACE FUNCTION engine.journal(p_run uuid, p_step uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
-- What earlier attempts at this step have on record, in order: the answers that are never bought again.
  SELECT coalesce(jsonb_agg(jsonb_build_object(
      'call_id', c.id, 'seq', c.seq, 'kind', c.kind, 'name', c.name, 'request_hash', c.request_hash,
      'status', c.status, 'response', c.response, 'error', c.error, 'labels', c.labels,
      'edited', CASE WHEN c.approval_id IS NOT NULL THEN
        (SELECT a.edited_request FROM approvals a WHERE a.id = c.approval_id AND a.status = 'consumed') END) ORDER BY c.seq), '[]')
    FROM calls c WHERE c.run_id = p_run AND c.step_id = p_step;
$$;
