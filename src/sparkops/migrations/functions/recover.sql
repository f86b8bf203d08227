CREATE OR REPLACE FUNCTION engine.recover(p_actor text, p_detail jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- A new epoch, for the owner only: after a restore or a promotion, when workers may be left that have seen what this
-- database has not. Every running step goes back by the rule of the reaper, without blame and without its time limit,
-- which ran on while the platform stood; every worker session ends; what was being delivered is due again.
-- Afterwards nothing of an old worker counts: it gets nothing (SF005), and holds nothing that it could write (SF001).
-- Returns {old, new, steps: [ids of those that ran], runs: [to be advanced, each in a transaction of its own], sessions,
-- rings}.
DECLARE
  v_old uuid;
  v_new uuid;
  v_steps uuid[];
  v_back jsonb;
  v_runs jsonb := '[]';
  v_rings jsonb := '[]';
  v_sessions int;
BEGIN
  -- A claim reads the epoch first: who has read the old one is waited for here, and all others read the new one.
  LOCK TABLE system IN ACCESS EXCLUSIVE MODE;
  -- Whatever holds a step is waited for; what comes later finds that its token is gone.
  LOCK TABLE steps IN EXCLUSIVE MODE;
  SELECT epoch INTO v_old FROM system;
  UPDATE system SET epoch = gen_random_uuid() RETURNING epoch INTO v_new;

  v_steps := ARRAY(SELECT id FROM steps WHERE status = 'running' ORDER BY id);
  UPDATE steps SET lease_expires_at = '-infinity', step_deadline_at = NULL WHERE id = ANY (v_steps);
  LOOP  -- nobody else holds a step now, so that none is passed over
    v_back := engine.give_back(NULL, false, 1000);
    EXIT WHEN (v_back ->> 'count')::int = 0;
    v_runs := v_runs || (v_back -> 'runs');
    v_rings := v_rings || (v_back -> 'rings');
  END LOOP;
  UPDATE worker_sessions SET ended_at = clock_timestamp() WHERE ended_at IS NULL;
  GET DIAGNOSTICS v_sessions = ROW_COUNT;
  UPDATE outbox SET claim_token = NULL, lease_expires_at = NULL WHERE status = 'pending' AND claim_token IS NOT NULL;
  PERFORM engine.write_audit(NULL, p_actor, 'system.recover', 'system:' || v_new, p_detail || jsonb_build_object(
    'old_epoch', v_old, 'steps', cardinality(v_steps), 'sessions', v_sessions));
  RETURN jsonb_build_object('old', v_old, 'new', v_new, 'steps', to_jsonb(v_steps), 'runs', v_runs,
                            'sessions', v_sessions, 'rings', v_rings);
END $$;
