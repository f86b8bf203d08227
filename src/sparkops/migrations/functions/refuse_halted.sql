CREATE OR REPLACE FUNCTION engine.refuse_halted(p_project uuid) RETURNS void
LANGUAGE plpgsql AS $$
-- The kill switch within T_PREPARE. Whoever orders a stop takes these locks alone, so that it waits for this
-- transaction, or this one waits for it and sees it: the statement after the locks reads a new snapshot.
-- Raises SF007: the project or the installation is stopped.
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('stop/00000000-0000-0000-0000-000000000000', 0)),
          pg_advisory_xact_lock_shared(hashtextextended('stop/' || p_project, 0));
  IF EXISTS (SELECT 1 FROM halts WHERE released_at IS NULL AND kind = 'stop'
                AND scope_id IN ('00000000-0000-0000-0000-000000000000', p_project)) THEN
    RAISE EXCEPTION 'a stop is in force: nothing is prepared until it is released' USING ERRCODE = 'SF007';
  END IF;
END $$;
