/**
 * The drawer of the examples' pages: the last requests, with what became of their sessions, as the plugin itself tells it on its
 * channels, and the lines of the route that did it. The page part is `shared/public/hood.js`.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { channels, type SessionEvent } from 'fastify-request-session'
import { eventStreams, type EventStream } from '../event-streams.js'
import { currentEntry, Entry, runFor, type Step } from './entry.js'
import { routeSources } from './route-sources.js'

export { watchStore } from './watch-store.js'

/** So many requests are kept for a page that opens its drawer later. */
const kept = 30

const kEntry = Symbol('hood.entry')

type Watched = FastifyRequest & { [kEntry]?: Entry }

/** Says what an event of the plugin means. */
const told: Record<Exclude<keyof typeof channels, 'lateAccess'>, (event: SessionEvent) => Step> = {
  open: ({ name, kind }) => ({ what: 'opened', text: `request.${name}, a ${kind} session` }),
  commit: ({ name, outcome = 'unused', error }) => outcome === 'committed'
    ? { what: 'committed', text: `request.${name}`, tone: 'good' }
    : { what: outcome.replace('-', ' '), text: `request.${name}: ${reasonOf(error)}`, tone: 'bad' },
  rollback: ({ name }) => ({ what: 'rolled back', text: `request.${name}`, tone: 'bad' }),
  close: ({ name, duration = 0 }) => ({ what: 'closed', text: `request.${name}, after ${duration.toFixed(1)} ms` }),
  invalidData: ({ name, error }) => ({ what: 'invalid', text: `request.${name}: its data do not fit, ${reasonOf(error)}`, tone: 'bad' }),
  expire: ({ name }) => ({ what: 'expired', text: `request.${name}: the client's token has no session any more`, tone: 'bad' }),
}

/**
 * Follows the requests of an app, and tells its pages of them. Call it before the plugin is registered: the hooks that tell
 * the requests apart have to come first.
 * @param main the file whose routes are shown: `import.meta.url`
 * @param others files whose functions are shown with the routes that call them
 */
export function underTheHood (app: FastifyInstance, main: string, ...others: URL[]): void {
  const sourcesOf = routeSources(main, others)
  const entries = new Set<Entry>()
  const followers = new Set<Follower>()
  const openStream = eventStreams(app)
  let last = 0

  const onChange = (entry: Entry): void => { for (const follower of followers) follower.add(entry) }

  function begin (request: Watched): Entry | undefined {
    const { method, url: path = '' } = request.routeOptions
    const sources = sourcesOf.get(`${String(method)} ${path}`)
    if (sources === undefined) return undefined
    const entry = new Entry({ id: ++last, method: String(method), path, sources }, onChange)
    entries.add(entry)
    for (const oldest of entries) if (entries.size > kept) entries.delete(oldest)
    onChange(entry)
    return entry
  }

  // Fastify runs these from events of the connection, which know of no request: each begins its part of the request anew.
  app.addHook('onRequest', (request: Watched, _reply, done) => {
    const entry = begin(request)
    if (entry !== undefined) request[kEntry] = entry
    runFor(entry, done)
  })
  app.addHook('preValidation', (request: Watched, _reply, done) => runFor(request[kEntry], done))
  app.addHook('onError', (request: Watched, _reply, error, done) => {
    request[kEntry]?.add({ what: 'error', text: error.code ?? error.name, tone: 'bad' })
    runFor(request[kEntry], done)
  })
  app.addHook('onSend', (request: Watched, _reply, payload, done) => runFor(request[kEntry], () => done(null, payload)))
  app.addHook('onResponse', (request: Watched, reply, done) => {
    request[kEntry]?.add({ what: 'replied', text: cookieOf(reply) })
    request[kEntry]?.finish(reply.raw.statusCode)
    runFor(request[kEntry], done)
  })
  app.addHook('onRequestAbort', (request: Watched, done) => {
    request[kEntry]?.add({ what: 'left', text: 'the client has gone', tone: 'bad' })
    done()
  })

  const listeners = Object.entries(told).map(([name, tell]) => ({
    channel: channels[name as keyof typeof told],
    listener: (message: unknown): void => {
      const entry = currentEntry()
      if (entry !== undefined && entries.has(entry)) entry.add(tell(message as SessionEvent))
    },
  }))
  for (const { channel, listener } of listeners) channel.subscribe(listener)
  app.addHook('onClose', async () => { for (const { channel, listener } of listeners) channel.unsubscribe(listener) })

  // It uses no session, and so costs none.
  app.get('/hood/events', async (_request, reply) => {
    const stream = openStream(reply)
    const follower = new Follower(stream)
    followers.add(follower)
    stream.onEnd(() => { followers.delete(follower) })
    for (const entry of entries) follower.add(entry)
  })
}

/** A page whose drawer is open. */
class Follower {
  readonly #stream: EventStream
  readonly #changed = new Set<Entry>()
  #isSending = false

  constructor (stream: EventStream) {
    this.#stream = stream
  }

  /** An entry that changes several times before it is sent is sent once. */
  add (entry: Entry): void {
    this.#changed.add(entry)
    if (this.#isSending) return
    this.#isSending = true
    setImmediate(() => this.#send())
  }

  async #send (): Promise<void> {
    for (const entry of this.#changed) {
      this.#changed.delete(entry)
      await this.#stream.send('request', entry.view)
    }
    this.#isSending = false
  }
}

/** The cookies of a reply by name and attributes: never their values. A hijacked reply has its headers at Node's own. */
function cookieOf (reply: FastifyReply): string {
  const cookies = [reply.getHeader('set-cookie') ?? reply.raw.getHeader('set-cookie') ?? []].flat().map((cookie) => String(cookie).replace(/=[^;]*/, '=…'))
  return cookies.length === 0 ? 'no Set-Cookie' : `Set-Cookie: ${cookies.join(', ')}`
}

function reasonOf (error: unknown): string {
  const { code, name } = error as { code?: string, name?: string }
  return code ?? name ?? 'it failed'
}
