/** An answer that says no: `code` is the server's own name for the reason, and what else the answer says is here too. */
export class Refusal extends Error {
  constructor (status, { message, ...said }) {
    super(message)
    Object.assign(this, said)
    this.status = status
  }
}

/** Asks the example's API; a cookie goes along by itself. */
export async function ask (method, path, body) {
  const response = await fetch(`/api/${path}`, {
    method,
    cache: 'no-store',
    ...body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
  })
  if (response.status === 204) return undefined
  const answer = await response.json().catch(() => ({ message: response.statusText }))
  if (!response.ok) throw new Refusal(response.status, answer)
  return answer
}
