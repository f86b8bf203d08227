CREATE OR REPLACE FUNCTION engine.wait(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_WAIT. The step lets go of its worker until one of the approvals that it waits for is answered. If one was
-- answered meanwhile the step is ready at once: an answer that came between asking and waiting is never lost.
-- p: {step_id, attempt, token, approvals: [ids]}. Returns {status, rings}. Raises SF001.
DECLARE
  v_step steps := engine.hold_lease((p ->> 'step_id')::uuid, (p ->> 'attempt')::bigint, (p ->> 'token')::uuid);
  v_approvals uuid[] := ARRAY(SELECT a::uuid FROM jsonb_array_elements_text(p -> 'approvals') a);
  v_status text := 'waiting';
  v_events jsonb := '[]';
BEGIN
  IF v_step.cancel_requested THEN
    v_status := 'cancelled';
    v_events := engine.abandon_calls(v_step);
  ELSIF EXISTS (SELECT 1 FROM approvals WHERE id = ANY (v_approvals) AND status <> 'pending') THEN
    v_status := 'ready';
  END IF;
  RETURN jsonb_build_object('status', v_status, 'rings', engine.emit(v_events || engine.park(
    v_step, v_status,
    CASE WHEN v_status = 'waiting' THEN jsonb_build_object('kind', 'approval', 'approvals', p -> 'approvals') END)));
END $$;
