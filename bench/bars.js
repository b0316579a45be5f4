/**
 * What each figure must reach, by suite and figure name. A figure without a bar is for information.
 * @type {Record<string, Record<string, { min: number } | { max: number }>>}
 */
export const bars = {
  memory: {
    'untouched / bare': { min: 1.05 },
    'read / by hand': { min: 0.95 },
    'write / by hand': { min: 0.95 },
    'read / @fastify/session': { min: 3 },
    'write / @fastify/session': { min: 3 },
    'read / @mgcrea/fastify-session': { min: 2 },
    'write / @mgcrea/fastify-session': { min: 2 },
    'read / @fastify/secure-session': { min: 1.3 },
  },
  way: {
    'used request, files': { max: 18 },
    'used request, functions': { max: 85 },
  },
  redis: {
    'read / raw GET': { min: 0.85 },
    'write / raw GET+SET': { min: 0.7 },
    'read / @fastify/session': { min: 3 },
    'write / @fastify/session': { min: 2 },
  },
  near: {
    'read / our memory store': { min: 0.95 },
    'read / raw GET': { min: 1.15 },
    'write / raw GET+SET': { min: 0.8 },
    'commands per cached read': { max: 0.001 },
    'delayed network, read, p50': { max: 0.4 },
    'delayed network, raw GET, p50': { min: 1 },
  },
  heap: {
    'heap per session': { max: 400 },
  },
  expiry: {
    'event-loop delay p99': { max: 10 },
  },
  scale: {
    'read cost, most / fewest sessions': { max: 1.3 },
    'write cost, most / fewest sessions': { max: 1.3 },
  },
  neo4j: {
    'read / by hand': { min: 0.97 },
    'write / by hand': { min: 0.97 },
  },
  ravendb: {
    'load / by hand': { min: 0.97 },
    'store / by hand': { min: 0.97 },
  },
  'save-restore': {
    'memory: save, peak memory': { max: 200 },
    'memory: restore, peak memory': { max: 200 },
    'Redis: save, peak memory': { max: 200 },
    'Redis: restore, peak memory': { max: 200 },
  },
}

/**
 * @param {string} suite
 * @param {import('./suites.js').Figure} figure
 */
export function judge (suite, { name, value, unit }) {
  const bar = bars[suite]?.[name] ?? null
  const met = bar === null ? null : 'min' in bar ? value >= bar.min : value <= bar.max
  return { suite, name, value, unit, bar, met }
}
