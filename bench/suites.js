import { readdirSync } from 'node:fs'
import { load } from './load.js'
import { startRedis, startServer } from './processes.js'

/**
 * @typedef {{ name: string, value: number, unit: string }} Figure
 * @typedef {Awaited<ReturnType<typeof startServer>>} Server
 * @typedef {{ name: string, server: Server, path: string, cookie?: string, cookieFile?: string, connections?: number }} Cell
 *   one route of one contestant, as it is measured
 * @typedef {ReturnType<typeof createBench>} Bench what a suite is given
 */

/** Every file in `suites/` is a suite: its default export takes a `Bench` and gives figures. */
export const suiteNames = readdirSync(new URL('suites/', import.meta.url))
  .filter((file) => file.endsWith('.js'))
  .map((file) => file.slice(0, -'.js'.length))

/**
 * @param {{ quick: boolean, profileDir?: string | undefined, log: (line: string) => void }} options
 */
export function createBench ({ quick, profileDir, log }) {
  const started = []
  const { rounds, seconds, warmUp } = quick ? { rounds: 2, seconds: 1, warmUp: 1 } : { rounds: 12, seconds: 1, warmUp: 2 }

  const use = (child) => {
    started.push(child)
    return child
  }

  /** One burst of load, by default with 32 connections: its rate, and what a request cost the server. */
  const burst = async ({ server, path, cookie, cookieFile, connections = 32 }, duration) => {
    const before = await server.call('cpuTime')
    const { requests, rate } = await load({ url: server.url + path, cookie, cookieFile, seconds: duration, connections })
    return { rate, cost: (await server.call('cpuTime') - before) / requests }
  }

  return {
    quick,
    log,
    burst,

    /** Has something that was started (a database, say) stopped when the suite is over. */
    use,

    /** Starts `servers/<file>.js`. */
    server: async (file, options) => use(await startServer(file, { profileDir, ...options })),

    /** Starts an empty Redis and gives its port. */
    redis: async () => use(await startRedis()).port,

    /** A session with the sample payload, as the cookie that its client holds. */
    login,

    /**
     * Measures all cells in turns (A B C A B C …), so that what disturbs the machine disturbs all alike.
     * @param {Cell[]} cells
     * @param {{ warmUp?: number }} [options] seconds of load before the first round, per cell
     */
    async measure (cells, options = {}) {
      const samples = new Map(cells.map(({ name }) => [name, []]))
      for (const cell of cells) await burst(cell, options.warmUp ?? warmUp)
      for (let round = 1; round <= rounds; round++) {
        log(`round ${round} of ${rounds}`)
        for (const cell of cells) samples.get(cell.name).push(await burst(cell, seconds))
      }
      const ratios = (what, numerator, denominator) => samples.get(numerator)
        .map((sample, round) => sample[what] / samples.get(denominator)[round][what])
      return {
        /** The median rate of a cell. */
        rate: (name, cell) => ({ name, value: Math.round(median(samples.get(cell).map(({ rate }) => rate))), unit: 'req/s' }),
        /** The median of the rounds' ratios of two cells' rates. */
        ratio: (name, numerator, denominator) => ({ name, value: median(ratios('rate', numerator, denominator)), unit: '×' }),
        /** The same for the CPU time that a request takes in the server, whatever else the machine does. */
        costRatio: (name, numerator, denominator) => ({ name, value: median(ratios('cost', numerator, denominator)), unit: '×' }),
      }
    },

    async stop () {
      for (const child of started.splice(0).reverse()) await child.stop()
    },
  }
}

/** @param {Server} server */
async function login (server) {
  const reply = await fetch(`${server.url}/login`)
  if (!reply.ok) throw new Error(`/login answered ${reply.status}: ${await reply.text()}`)
  const cookie = reply.headers.getSetCookie().map((line) => line.split(';', 1)[0]).join('; ')
  const check = await fetch(`${server.url}/read`, { headers: { cookie } })
  const body = await check.text()
  if (body !== '{"user":"ada"}') throw new Error(`/read answered ${check.status}: ${body}`)
  return cookie
}

/** @param {number[]} values */
export function median (values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
