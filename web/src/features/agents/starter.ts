/** What a new agent starts from: it works without a model, and says how to use one. */
export const STARTER = `# Use "default" or the name of another model of this installation, and leave out the script, to ask a model.
model: scripted
instructions: |
  You answer in one short sentence.
tools: []
max_turns: 3
max_output_tokens: 200
script:
  turns:
    - text: You asked \${{ prompt }}
`
