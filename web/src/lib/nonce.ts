/** The nonce of this page's content security policy, for what must add a style sheet of its own. */
export function cspNonce(): string | undefined {
  return document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce || undefined
}
