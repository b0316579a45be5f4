import { ask } from '/shared/ask.js'

export const graph = () => ask('GET', 'graph')
export const path = async (from, to) => (await ask('GET', `path?${new URLSearchParams({ from, to })}`)).ids
export const addPerson = (name) => ask('POST', 'people', { name })
export const connect = (from, to) => ask('POST', 'acquaintances', { from, to })
export const failHalfWay = (name, knows) => ask('POST', 'half-way', { name, knows })
