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

/** The costs of a collection while idle show after two or three. */
const idleCollections = 4

/** Every file in `suites/` is a suite: its default export takes a `Bench` and gives figures. */
export const suiteNames = readdirSync(new URL('suites/', import.meta.url))
  .filter((file) => file.endsWith('.js'))
  .map((file) => file.slice(0, -'.js'.length))

/**
 * @param {{ quick: boolean, profileDir?: string | undefined, log: (line: string) => void }} options
 */
export function createBench ({ quick, profileDir, log }) {
  const started = []

  const use = (child) => {
    started.push(child)
    return child
  }

  /** One burst of load, by default with 32 connections: its rate, and what a request cost the server. */
  const burst = async ({ server, path, cookie, cookieFile, connections = 32 }, duration) => {
    const before = await server.call('cpuTime')
    const { requests, rate } = await load({ url: server.url + path, cookie, cookieFile, seconds: duration, connections })
    return { requests, rate, cost: (await server.call('cpuTime') - before) / requests }
  }

  /** All turns, in an order of their own each time: one burst of load for each cell, at the same time for those of one turn. */
  async function * inTurns (turns, duration) {
    for (const cells of shuffled(turns)) {
      yield * await Promise.all(cells.map(async (cell) => ({ cell, sample: await burst(cell, duration) })))
    }
  }

  /**
   * Loads all cells in turns until all are warm. V8 compiles by use, not by time: on a busy machine, a second alone
   * would leave a server cold. It also throws away what was not used for long, so that no cell may wait for the others.
   * Cells that share a core have a part of each second only, and need as many seconds more.
   */
  async function warm (turns, seconds) {
    const requests = new Map(turns.flat().map((cell) => [cell, 0]))
    const rounds = seconds * Math.max(...turns.map((cells) => cells.length))
    for (let round = 0; round < 5 * rounds; round++) {
      if (round >= rounds && [...requests.values()].every((count) => count >= 10_000)) return
      for await (const { cell, sample } of inTurns(turns, 1)) requests.set(cell, requests.get(cell) + sample.requests)
    }
  }

  /**
   * Brings all servers into the state of a process that has lived: what V8 has compiled is used again after collections
   * of all garbage while no request was under way. Bare Fastify takes a fifth to a third more from then on.
   */
  async function live (turns) {
    const servers = new Set(turns.flat().map(({ server }) => server))
    const collect = () => Promise.all([...servers].map((server) => server.call('collect')))
    for (let i = 1; i < idleCollections; i++) {
      await collect()
      for (const cells of shuffled(turns)) await Promise.all(cells.map((cell) => burst(cell, cells.length)))
    }
    await collect()
    await warm(turns, 1)
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
     * Measures all cells in short turns, in another order each round (A C B, B A C, …): what disturbs the machine then
     * disturbs all alike, also what ran just before. Does it again with fresh processes, since two runs of one program
     * differ by what V8 makes of it.
     *
     * Measured is the state of a process that has lived (`live`); with `fresh` also the state before, for information.
     *
     * Cells in an array share a turn: they are loaded at the same time, and their servers share a core. A machine whose
     * speed changes from second to second then does not come between them.
     * @param {() => Promise<(Cell | Cell[])[]>} start starts the servers of one batch
     * @param {{ warmUp?: number, batches?: number, rounds?: number, turn?: number, fresh?: boolean }} [options]
     * `warmUp`: seconds of load per cell before a batch's first round, with a core to itself; `turn`: seconds of one turn
     */
    async measure (start, options = {}) {
      const { warmUp = 1, batches = 8, rounds = 4, turn = 0.4, fresh = false } = quick ? { ...options, warmUp: 1, batches: 1, rounds: 2 } : options
      const states = { fresh: new Map(), lived: new Map() }
      async function sample (state, turns, batch) {
        const samples = states[state]
        for (let round = 1; round <= rounds; round++) {
          log(`batch ${batch} of ${batches}, ${state}, round ${round} of ${rounds}`)
          for await (const { cell, sample } of inTurns(turns, turn)) samples.set(cell.name, [...samples.get(cell.name) ?? [], sample])
        }
      }
      for (let batch = 1; batch <= batches; batch++) {
        const outer = started.length
        const turns = (await start()).map((cells) => [cells].flat())
        await warm(turns, warmUp)
        if (fresh) await sample('fresh', turns, batch)
        await live(turns)
        await sample('lived', turns, batch)
        await stopAll(started.splice(outer))
      }
      return { ...figuresOf(states.lived), fresh: figuresOf(states.fresh) }
    },

    stop: () => stopAll(started.splice(0)),
  }
}

/** @param {Map<string, Array<{ rate: number, cost: number }>>} samples by cell, in order of the rounds */
function figuresOf (samples) {
  const ratios = (what, numerator, denominator) => samples.get(numerator)
    .map((sample, round) => sample[what] / samples.get(denominator)[round][what])
  return {
    /** The median rate of a cell. */
    rate: (name, cell) => ({ name, value: Math.round(median(samples.get(cell).map(({ rate }) => rate))), unit: 'req/s' }),
    /** The median CPU time of a cell's request. */
    cost: (name, cell) => ({ name, value: median(samples.get(cell).map(({ cost }) => cost)), unit: 'µs' }),
    /** The median of the rounds' ratios of two cells' rates. */
    ratio: (name, numerator, denominator) => ({ name, value: median(ratios('rate', numerator, denominator)), unit: '×' }),
    /** The same for the CPU time that a request takes in the server, whatever else the machine does. */
    costRatio: (name, numerator, denominator) => ({ name, value: median(ratios('cost', numerator, denominator)), unit: '×' }),
  }
}

async function stopAll (started) {
  for (const { stop } of started.reverse()) await stop()
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

/**
 * @template T
 * @param {T[]} list
 */
function shuffled (list) {
  return list.map((item) => ({ item, at: Math.random() })).sort((a, b) => a.at - b.at).map(({ item }) => item)
}

/** @param {number[]} values */
export function median (values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
