/** What a new policy starts from: one rule and the tests that show what it says. */
export const STARTER = `version: 1
name: my-policy
description: What this policy is for, in one sentence.

rules:
  - name: files-are-read-first
    on: [tool.call]
    tools: [files.write]
    when: size(string(args.content)) > 1000
    effect: require_approval
    reason: Long files are read by a person before they are kept.
    severity: medium

tests:
  - name: a short note is kept
    on: tool.call
    facts: {tool.name: files.write, args: {content: hello}}
    expect: allow
`
