CREATE OR REPLACE FUNCTION engine.accept_all(p jsonb[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
-- T_ACCEPT of several runs in one transaction: those that were asked for while the last one was on its way to the disk.
-- In the order of their idempotency keys, as everybody takes them: two batches that share keys wait, and do not block
-- each other. Returns the answers of `accept`, in the order of p.
DECLARE
  v_answers jsonb[];
  v_place int;
BEGIN
  FOR v_place IN SELECT n FROM unnest(p) WITH ORDINALITY AS d (doc, n)
                 ORDER BY d.doc -> 'run' ->> 'project_id', d.doc -> 'run' ->> 'idem_key', n LOOP
    v_answers[v_place] := engine.accept(p[v_place]);
  END LOOP;
  RETURN to_jsonb(v_answers);
END $$;
