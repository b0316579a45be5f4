import { ask } from '/shared/ask.js'

export { follow } from '/shared/follow.js'

export const menu = () => ask('GET', 'menu')
export const order = (pizza, customer) => ask('POST', 'orders', { pizza, customer })
export const bake = (number) => ask('POST', `orders/${number}/bake`)
export const ready = (number) => ask('POST', `orders/${number}/ready`)
export const shift = () => ask('GET', 'shift')
export const beginShift = (driver) => ask('PUT', 'shift', { driver })
export const endShift = () => ask('DELETE', 'shift')
export const take = (number) => ask('POST', `shift/${number}`)
export const move = (number, progress) => ask('PUT', `shift/${number}`, { progress })
export const delivered = (number) => ask('POST', `shift/${number}/delivered`)
