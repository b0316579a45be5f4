import { ask } from '/shared/ask.js'
import { follow } from '/shared/follow.js'

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

/** What the pages say while Redis does not answer. */
export const outage = 'The pizzeria cannot get at its orders right now. What you did last may not have been kept: please look again in a moment.'

/** Follows events, and shows in the badge which process sends them. */
export function followShop (path, listeners, onState) {
  const badge = document.querySelector('#answered')
  return follow(path, {
    ...listeners,
    process ({ pid, port }) {
      badge.textContent = `Answered by process ${pid} on port ${port}`
      badge.hidden = false
    },
  }, onState)
}
