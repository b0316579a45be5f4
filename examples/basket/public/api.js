/** An answer that says no; `code` is the server's own name for the reason. */
export class Refusal extends Error {
  constructor (status, { code, message }) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** Asks the shop; the cookie goes along by itself. */
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

export const shop = () => ask('GET', 'shop')
export const basket = () => ask('GET', 'basket')
/** The basket, without prolonging its life. */
export const look = () => ask('GET', 'basket/look')
export const add = (product) => ask('POST', 'basket/lines', { product })
export const setQuantity = (product, quantity) => ask('PUT', `basket/lines/${product}`, { quantity })
export const setLifetime = (ttl) => ask('PUT', 'basket/lifetime', { ttl })
export const checkOut = (total) => ask('POST', 'checkout', { total })
export const end = () => ask('DELETE', 'basket')
