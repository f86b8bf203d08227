CREATE OR REPLACE FUNCTION engine.redrive(p_entry uuid, p_user uuid) RETURNS text
LANGUAGE plpgsql AS $$
-- A dead outbox entry is due again, with all its attempts; the audit says who wanted it.
-- Returns the status that it had, NULL if there is none; only one that was dead has changed.
DECLARE
  v_entry outbox;
BEGIN
  SELECT * INTO v_entry FROM outbox WHERE id = p_entry FOR UPDATE;
  IF v_entry.status = 'dead' THEN
    UPDATE outbox SET status = 'pending', attempt = 0, next_at = clock_timestamp(), ended_at = NULL WHERE id = p_entry;
    PERFORM engine.write_audit(v_entry.project_id, 'user:' || p_user, 'outbox.redrive', 'outbox:' || p_entry,
      jsonb_build_object('subscription', v_entry.subscription, 'run_id', v_entry.run_id, 'seq', v_entry.seq));
  END IF;
  RETURN v_entry.status;
END $$;
