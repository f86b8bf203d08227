/** What a new workflow starts from: two steps that run anywhere, with the places where one's own text goes. */
export const STARTER = `version: 1
name: my-workflow
description: What this workflow does, in one sentence.

input:
  type: object
  properties:
    name:
      type: string
      default: world
      description: Whom to greet.

steps:
  - id: greeting
    type: transform
    with:
      template: |
        Hello, {{ name }}.
      data:
        name: \${{ input.name }}

  - id: save
    type: tool
    tool: files.write
    needs: [greeting]
    with:
      name: greeting.txt
      content: \${{ steps.greeting.output }}

output:
  file: \${{ steps.save.output.name }}
`
