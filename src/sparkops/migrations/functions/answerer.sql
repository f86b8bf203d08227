CREATE OR REPLACE FUNCTION engine.answerer(p_approval approvals, p_user uuid) RETURNS text[]
LANGUAGE sql STABLE AS $$
-- Role and e-mail address of somebody who may answer this question if it names them, as things are now. NULL: they are
-- no member any more, or no person, or disabled, or their role does not allow `approval:answer` (core/permissions.py; a
-- test compares), or it is their own request.
  SELECT ARRAY[m.role, u.email]
    FROM memberships m JOIN users u ON u.id = m.user_id AND u.disabled_at IS NULL AND u.kind = 'person'
   WHERE m.project_id = p_approval.project_id AND m.user_id = p_user
     AND m.role IN ('owner', 'admin', 'developer', 'operator')
     AND NOT engine.own_request(p_approval, p_user);
$$;
