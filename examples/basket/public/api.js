import { ask } from '/shared/ask.js'

export const shop = () => ask('GET', 'shop')
export const basket = () => ask('GET', 'basket')
/** The basket, without prolonging its life. */
export const look = () => ask('GET', 'basket/look')
export const add = (product) => ask('POST', 'basket/lines', { product })
export const setQuantity = (product, quantity) => ask('PUT', `basket/lines/${product}`, { quantity })
export const setLifetime = (ttl) => ask('PUT', 'basket/lifetime', { ttl })
export const checkOut = (total) => ask('POST', 'checkout', { total })
export const end = () => ask('DELETE', 'basket')
