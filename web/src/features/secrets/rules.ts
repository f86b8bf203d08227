// What the server will accept, told before it is asked.

const NAME = /^[a-z][a-z0-9_-]{0,62}$/
const MIN_CHARS = 8

/** What is wrong with a name, or null. */
export function nameProblem(name: string): string | null {
  return NAME.test(name)
    ? null
    : 'A name begins with a small letter; small letters, digits, - and _ may follow.'
}

/** What is wrong with a value, or null. It is not quoted. */
export function valueProblem(value: string): string | null {
  return [...value].length < MIN_CHARS
    ? `At least ${MIN_CHARS} characters: a shorter value could not be kept out of logs and records.`
    : null
}
