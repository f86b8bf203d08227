CREATE OR REPLACE FUNCTION engine.resume(
  p_step steps, p_call calls, p_again jsonb, p_unanswered boolean, p_policy_version bigint, p_budgets uuid[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- A call that an earlier attempt has on record is met again. What is recorded counts: a finished call answers from the
-- record; one that was sent and lost goes out again under the same id if its class allows, else nobody knows; one that
-- waited goes on if people said yes to exactly this request and tool, or to what one of them made of the request, and to
-- what the rules of today ask; where those ask something else, the question is asked anew. Nothing is sent that the
-- rules of today deny, whatever was decided before. A call that people approved passes the budgets that the question
-- named where they ask; another that asks by now puts it anew, with the demands of the rules where those ask, and it may
-- have to wait for one that pauses. Where the rules of today or a budget ask about one that was lost, it stays prepared,
-- as it has been sent, and goes out again only with a yes to that; the yes that it went out with counts where it covers
-- what they demand, about the same tool. p_unanswered: this attempt has asked before and got no answer, so that what it
-- prepared itself has not been sent. p_budgets: as reserve takes them.
-- Returns {verdict, events}. Raises SF003: the step asks for something else than what it asked for before.
DECLARE
  v_call calls := p_call;
  v_approval approvals;
  v_live boolean := false;
  v_open boolean := false;
  v_asks boolean := p_again ->> 'outcome' = 'require_approval';
  v_other boolean;
  v_named uuid[];
  v_refused jsonb;
  v_anew boolean := false;
  v_said jsonb;
  v_decision uuid;
  v_verdict text := 'send';
  v_events jsonb := '[]';
  v_held jsonb := '{"verdict": "held", "events": []}';
  v_denied jsonb := CASE WHEN p_again ->> 'outcome' = 'deny' THEN jsonb_build_object(
    'code', 'denied', 'message', coalesce(p_again ->> 'reason', 'denied by policy'), 'rule', p_again ->> 'rule') END;
BEGIN
  IF v_call.status IN ('waiting_approval', 'prepared') AND v_call.approval_id IS NOT NULL THEN
    SELECT * INTO v_approval FROM approvals WHERE id = v_call.approval_id FOR UPDATE;
    v_live := v_approval.status IN ('pending', 'approved') AND v_approval.expires_at > clock_timestamp();
    v_open := v_approval.status = 'pending' AND v_live;
    v_refused := jsonb_build_object(
      'code', CASE WHEN v_approval.status IN ('rejected', 'withdrawn') THEN 'rejected' ELSE 'approval-expired' END,
      'message', CASE WHEN v_approval.status IN ('rejected', 'withdrawn') THEN 'a person rejected this: ' || coalesce(v_approval.comment, '')
                      WHEN v_approval.status = 'approved' AND v_approval.expires_at > clock_timestamp() THEN 'the tool or the request changed after the approval'
                      ELSE 'nobody approved this in time' END);
  END IF;
  v_named := ARRAY(SELECT (b ->> 'budget_id')::uuid FROM jsonb_array_elements(v_approval.budgets) b);
  IF v_call.kind <> p_again ->> 'kind' OR v_call.name <> p_again ->> 'name'
     OR v_call.request_hash <> p_again ->> 'request_hash' THEN
    RAISE EXCEPTION 'call % of step % differs from what an earlier attempt recorded', v_call.seq, p_step.node_key
      USING ERRCODE = 'SF003';
  END IF;

  -- Whether the rules of today put a question that nobody has been asked.
  v_other := v_asks AND (
    v_approval.id IS NULL OR NOT engine.covers(v_approval.demands, engine.demands(p_again))
    OR v_approval.status = 'consumed' AND v_approval.tool_hash IS DISTINCT FROM p_again ->> 'tool_hash');

  IF v_call.status IN ('done', 'failed', 'denied', 'expired') THEN
    v_verdict := 'recorded';

  ELSIF v_call.status = 'prepared' AND v_call.attempt = p_step.attempt AND p_unanswered
        AND v_denied IS NULL AND NOT v_other AND coalesce(v_approval.status, 'consumed') = 'consumed' THEN
    NULL;  -- the answer that was lost is given again

  ELSIF v_call.status = 'prepared' AND v_call.effect_class = 'unsafe' THEN
    v_verdict := 'uncertain';
    v_call.cost_micros := v_call.cost_micros + engine.charge(p_call, NULL);
    v_call.status := 'unknown';

  ELSIF v_call.status = 'prepared' AND v_denied IS NULL AND v_open AND NOT v_other THEN
    v_verdict := 'waiting';

  ELSIF v_call.status = 'prepared' AND v_denied IS NULL AND v_approval.status <> 'consumed'
        AND NOT (v_live AND v_other) AND NOT engine.lets_out(v_approval, p_again) THEN
    v_verdict := 'recorded';
    v_call.status := 'failed';
    v_call.error := v_refused;

  ELSIF v_call.status = 'prepared' THEN
    v_call.cost_micros := v_call.cost_micros + engine.charge(p_call, NULL);
    v_call.sends := v_call.sends + 1;
    IF v_denied IS NULL AND v_other THEN
      v_held := '{"verdict": "ask", "events": []}';
    ELSIF v_denied IS NULL THEN
      v_held := engine.reserve(p_step, v_call.id, v_call.sends, p_again, v_named, p_budgets);
    END IF;
    IF v_held ->> 'verdict' = 'pause' THEN
      v_verdict := 'budget';
      v_call.sends := p_call.sends;
    ELSIF v_held ->> 'verdict' = 'ask' THEN
      v_verdict := 'waiting';
      v_call.sends := p_call.sends;
      v_call.approval_id := (p_again ->> 'approval_id')::uuid;
      v_anew := true;
      v_said := CASE WHEN v_asks THEN p_again ELSE engine.by_budget(p_again, v_held) END;
    ELSIF v_denied IS NOT NULL OR v_held ->> 'verdict' <> 'held' THEN
      v_verdict := 'recorded';
      v_call.sends := p_call.sends;
      v_call.status := 'failed';
      v_call.error := coalesce(
        v_denied, jsonb_build_object('code', 'budget-exceeded', 'message', v_held ->> 'reason', 'rule', 'budget'));
      v_said := CASE WHEN v_denied IS NULL THEN engine.by_budget(p_again, v_held) ELSE p_again END;
    ELSE
      UPDATE approvals SET status = 'consumed', consumed_at = clock_timestamp()
       WHERE id = v_approval.id AND status = 'approved';
      v_said := p_again;
    END IF;

  ELSIF v_call.status = 'waiting_approval' THEN
    v_anew := v_live AND v_other;
    IF v_denied IS NOT NULL THEN
      v_verdict := 'recorded';
      v_call.status := 'denied';
      v_call.error := v_denied;
      v_said := p_again;
    ELSIF v_anew THEN
      v_verdict := 'waiting';
      v_call.approval_id := (p_again ->> 'approval_id')::uuid;
      v_said := p_again;
    ELSIF v_open THEN
      v_verdict := 'waiting';
    ELSIF engine.lets_out(v_approval, p_again) THEN
      v_call.sends := 1;
      v_held := engine.reserve(p_step, v_call.id, 1, p_again, v_named, p_budgets);
      IF v_held ->> 'verdict' = 'held' THEN
        UPDATE approvals SET status = 'consumed', consumed_at = clock_timestamp() WHERE id = v_approval.id;
        v_call.status := 'prepared';
        v_call.prepared_at := clock_timestamp();
        v_said := p_again;
      ELSIF v_held ->> 'verdict' = 'pause' THEN
        v_verdict := 'budget';
        v_call.sends := 0;
      ELSIF v_held ->> 'verdict' = 'ask' THEN
        v_anew := true;
        v_verdict := 'waiting';
        v_call.sends := 0;
        v_call.approval_id := (p_again ->> 'approval_id')::uuid;
        v_said := CASE WHEN v_asks THEN p_again ELSE engine.by_budget(p_again, v_held) END;
      ELSE
        v_verdict := 'recorded';
        v_call.sends := 0;
        v_call.status := 'denied';
        v_call.error := jsonb_build_object('code', 'budget-exceeded', 'message', v_held ->> 'reason', 'rule', 'budget');
        v_said := engine.by_budget(p_again, v_held);
      END IF;
    ELSE
      v_verdict := 'recorded';
      v_call.status := CASE v_refused ->> 'code' WHEN 'rejected' THEN 'denied' ELSE 'expired' END;
      v_call.error := v_refused;
    END IF;
  ELSE
    v_verdict := 'uncertain';
  END IF;

  IF v_anew OR v_verdict = 'recorded' THEN
    UPDATE approvals SET status = CASE WHEN expires_at <= clock_timestamp() THEN 'expired' ELSE 'withdrawn' END
     WHERE id = v_approval.id AND status IN ('pending', 'approved');
  END IF;
  -- What lets a call out, or does not, is on record like any decision, also where the rules ask for the consent that is
  -- there: then that was used before it.
  IF v_said IS NOT NULL THEN
    v_decision := engine.decide(
      p_step.run_id, p_step.id, p_step.project_id, 'call', v_call.id,
      coalesce(v_approval.edited_hash, v_call.request_hash), p_policy_version,
      v_said || jsonb_build_object('subject', v_call.kind || '.call'));
  END IF;
  IF v_anew THEN
    v_events := jsonb_build_array(engine.put_question(p_step, v_call, v_said, v_decision, v_approval, p_budgets));
  END IF;

  IF v_call IS DISTINCT FROM p_call THEN
    -- What has to wait before it is sent again was not prepared by this attempt.
    UPDATE calls SET status = v_call.status, sends = v_call.sends, cost_micros = v_call.cost_micros,
                     error = v_call.error, prepared_at = v_call.prepared_at,
                     attempt = CASE WHEN v_verdict = 'budget' OR v_verdict = 'waiting' AND v_call.status = 'prepared'
                                    THEN attempt ELSE p_step.attempt END,
                     approval_id = v_call.approval_id,
                     finished_at = CASE WHEN v_call.status NOT IN ('prepared', 'waiting_approval')
                                        THEN clock_timestamp() END
     WHERE run_id = v_call.run_id AND id = v_call.id;
    v_events := jsonb_build_array(engine.call_event(p_step, v_call)) || v_events;
  END IF;
  RETURN jsonb_build_object(
    'verdict', jsonb_build_object(
      'call_id', v_call.id, 'seq', v_call.seq, 'send_no', v_call.sends, 'verdict', v_verdict,
      'status', v_call.status, 'response', v_call.response, 'error', v_call.error, 'labels', v_call.labels,
      'approval_id', v_call.approval_id, 'waits_for', v_held -> 'waits_for', 'replayed', true,
      'edited', CASE WHEN v_verdict = 'recorded' AND v_call.prepared_at IS NOT NULL AND v_call.approval_id IS NOT NULL THEN
        (SELECT a.edited_request FROM approvals a WHERE a.id = v_call.approval_id) END),
    'events', (v_held -> 'events') || v_events);
END $$;
