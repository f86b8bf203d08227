"""What tells, in SQL, the decision of a call that went out with consent from one that held it."""

LET_GO = """
  {0}.outcome = 'require_approval' AND {0}.subject_kind = 'call'
  AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.subject_id = {0}.subject_id AND a.decision_id = {0}.id)
  AND EXISTS (SELECT 1 FROM approvals a WHERE a.subject_id = {0}.subject_id AND a.status = 'consumed'
                 AND a.request_hash = {0}.request_hash)
"""
"""Of a table of decisions: what says of a call that it went out with the consent which rules ask for. It held nothing;
what was asked before is a decision as well."""
