CREATE OR REPLACE FUNCTION engine.owned_alone(p_user uuid) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
-- The slugs of the projects that nobody would own who may sign in if this person did not, in order. Until the
-- transaction ends nobody else changes who owns a project of theirs: whoever does locks the rows of its owners first.
-- It runs as the owner of the tables: an administrator of the installation disables people whose projects they do not see.
BEGIN
  PERFORM 1 FROM memberships m
    WHERE m.role = 'owner'
      AND m.project_id IN (SELECT o.project_id FROM memberships o WHERE o.user_id = p_user AND o.role = 'owner')
    ORDER BY m.project_id, m.user_id FOR UPDATE;
  RETURN ARRAY(
    SELECT p.slug FROM memberships o JOIN projects p ON p.id = o.project_id
     WHERE o.user_id = p_user AND o.role = 'owner' AND NOT EXISTS (
       SELECT 1 FROM memberships m JOIN users u ON u.id = m.user_id
        WHERE m.project_id = o.project_id AND m.role = 'owner' AND m.user_id <> p_user
          AND u.disabled_at IS NULL AND u.kind = 'person')
     ORDER BY p.slug);
END $$;
