CREATE OR REPLACE FUNCTION engine.resolve(p jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_RESOLVE. A person says what became of an effect whose outcome nobody knows. The caller holds the lock of the run,
-- has checked that the person may, and advances the run afterwards in the same transaction.
-- p: {run_id, step_id, user_id, answer: happened | did_not_happen | fail, call_id, response, evidence}.
-- `happened`: the call is done with this response, from which the next attempt is answered. `did_not_happen`: it has
-- failed, and the next attempt may make another. `fail`: the step and all its calls in doubt have failed. Every answer
-- names the call that the person saw: the step may have gone on since, and be in doubt about another one. The step
-- goes on once none of its calls is in doubt; where it was asked to stop it is cancelled instead.
-- What was charged for an unknown call stays charged, whatever the answer: ledger lines never change. A call that was
-- prepared and whose hold still stands gives it back if it did not happen.
-- Returns {result: ok, status, events}, or why nothing was written: {result: closed, status} (the step is not
-- uncertain), {result: call_closed, status}, {result: no_call} (no call of this step).
DECLARE
  v_step steps;
  v_call calls;
  v_open uuid[];
  v_meant uuid[];
  v_answer text := p ->> 'answer';
  v_charged bigint;
  v_status text;
  v_events jsonb := '[]';
BEGIN
  SELECT * INTO v_step FROM steps WHERE id = (p ->> 'step_id')::uuid AND run_id = (p ->> 'run_id')::uuid FOR UPDATE;
  IF v_step.status <> 'uncertain' THEN
    RETURN jsonb_build_object('result', 'closed', 'status', v_step.status);
  END IF;
  v_open := ARRAY(SELECT id FROM calls WHERE run_id = v_step.run_id AND step_id = v_step.id
                     AND (status = 'unknown' OR status = 'prepared' AND effect_class = 'unsafe') ORDER BY seq);
  v_meant := ARRAY[(p ->> 'call_id')::uuid];
  IF NOT v_meant <@ v_open THEN
    SELECT * INTO v_call FROM calls WHERE run_id = v_step.run_id AND step_id = v_step.id AND id = v_meant[1];
    RETURN CASE WHEN FOUND THEN jsonb_build_object('result', 'call_closed', 'status', v_call.status)
                ELSE '{"result": "no_call"}' END;
  ELSIF v_answer = 'fail' THEN
    v_meant := v_open;
  END IF;

  PERFORM engine.lock_budgets(v_meant);
  FOR v_call IN SELECT * FROM calls WHERE run_id = v_step.run_id AND id = ANY (v_meant) ORDER BY seq FOR UPDATE LOOP
    v_charged := CASE WHEN v_call.status = 'unknown' THEN 0
                      ELSE engine.charge(v_call, CASE v_answer WHEN 'did_not_happen' THEN 0 END) END;
    UPDATE calls
       SET status = CASE v_answer WHEN 'happened' THEN 'done' ELSE 'failed' END,
           response = CASE v_answer WHEN 'happened' THEN nullif(p -> 'response', 'null') END,
           error = CASE v_answer
             WHEN 'did_not_happen' THEN '{"code": "not-sent", "message": "a person found that this did not happen; it may be done anew"}'::jsonb
             WHEN 'fail' THEN '{"code": "given-up", "message": "nobody knows whether this happened, and a person gave it up"}'::jsonb END,
           cost_micros = cost_micros + v_charged, finished_at = clock_timestamp()
     WHERE run_id = v_call.run_id AND id = v_call.id RETURNING * INTO v_call;
    v_events := v_events || jsonb_build_array(engine.call_event(v_step, v_call));
  END LOOP;

  v_status := CASE WHEN NOT v_meant @> v_open THEN 'uncertain'
                   WHEN v_step.cancel_requested OR EXISTS (
                     SELECT 1 FROM runs WHERE id = v_step.run_id AND status = 'cancelling') THEN 'cancelled'
                   WHEN v_answer = 'fail' THEN 'failed' ELSE 'ready' END;
  IF v_status <> 'uncertain' THEN
    UPDATE steps
       SET status = v_status, not_before = clock_timestamp(),
           error = CASE v_status
             WHEN 'failed' THEN '{"code": "given-up", "message": "nobody knows whether an effect of this step happened, and a person gave it up"}'::jsonb
             ELSE error END,
           ready_at = CASE WHEN v_status = 'ready' THEN clock_timestamp() ELSE ready_at END,
           finished_at = CASE WHEN v_status <> 'ready' THEN clock_timestamp() END
     WHERE id = v_step.id RETURNING * INTO v_step;
    IF v_status <> 'ready' THEN
      v_events := v_events || engine.abandon_calls(v_step);
    END IF;
    v_events := v_events || jsonb_build_array(engine.step_event(
      v_step, 'step.' || v_status, jsonb_strip_nulls(jsonb_build_object(
        'reason', 'resolved', 'answer', v_answer, 'error', CASE v_status WHEN 'failed' THEN v_step.error END,
        'ready_at', CASE v_status WHEN 'ready' THEN v_step.ready_at END, 'finished_at', v_step.finished_at))));
  END IF;
  PERFORM engine.write_audit(
    v_step.project_id, 'user:' || (p ->> 'user_id'), 'step.resolve', 'step:' || v_step.id,
    jsonb_build_object('run_id', v_step.run_id, 'key', v_step.node_key, 'answer', v_answer,
                       'calls', to_jsonb(v_meant), 'status', v_status, 'evidence', p ->> 'evidence'));
  RETURN jsonb_build_object('result', 'ok', 'status', v_status, 'events', v_events);
END $$;
