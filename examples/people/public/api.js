/** An answer that says no; `code` is the server's own name for the reason, `steps` what was done before it. */
export class Refusal extends Error {
  constructor (status, { code, message, steps }) {
    super(message)
    this.status = status
    this.code = code
    this.steps = steps ?? []
  }
}

async function ask (method, path, body) {
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

export const graph = () => ask('GET', 'graph')
export const path = async (from, to) => (await ask('GET', `path?${new URLSearchParams({ from, to })}`)).ids
export const addPerson = (name) => ask('POST', 'people', { name })
export const connect = (from, to) => ask('POST', 'acquaintances', { from, to })
export const failHalfWay = (name, knows) => ask('POST', 'half-way', { name, knows })
