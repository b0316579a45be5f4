import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { openSessionsOf } from '../core/get-session.js'
import { OpenSessions } from '../core/open-sessions.js'
import type { CommitOptions } from '../core/provider.js'
import { Scope, type ScopeSettings } from '../core/scope.js'
import { OptionError } from '../errors.js'
import { checkOptions, describeType } from '../util/option-rules.js'
import { commitRules, type PluginOptions } from './options.js'

/** Names of the route options that the plugin takes itself. */
const commitOptions = Object.keys(commitRules)

/** One `app.register(requestSession, …)`: its provider, its routes' settings, its open sessions. */
export class Registration {
  /** The key of this registration's settings in a route's config. */
  readonly key: symbol
  readonly options: PluginOptions
  /** The instance that it was registered on. */
  readonly app: FastifyInstance
  /** The place in the order of registration: the sessions of a request settle from the highest to the lowest. */
  readonly order: number
  readonly sessions: OpenSessions<Scope>
  private readonly all: readonly Registration[]
  /** The settings of a route without options of its own, and of the not-found handler. */
  readonly defaults: ScopeSettings

  /** @param all the registrations in all contexts of the app, before and after this one */
  constructor (options: PluginOptions, all: readonly Registration[], app: FastifyInstance) {
    this.key = Symbol(`fastify-request-session.${options.name}`)
    this.options = options
    this.app = app
    this.order = all.length
    this.all = all
    this.sessions = new OpenSessions<Scope>(options.name, options.provider.kind, app.log)
    openSessionsOf(options.provider).add(this.sessions)
    this.sessions.start(options.warnAfter, Scope.pulseOf(this.sessions))
    this.defaults = this.settings(undefined, 'the not-found handler')
  }

  get name (): string { return this.options.name }

  /** True for a request of its instance, or of one within it: others may have sessions of the same name and provider, by a registration of their own. */
  serves ({ server }: FastifyRequest): boolean {
    return isWithin(server, this.app)
  }

  /** True in a context that has a nearer registration of this name: `request.<name>` and the routes' configs are that one's. */
  isHiddenIn (context: FastifyInstance): boolean {
    return this.all.some(({ app, name }) => name === this.name && app !== this.app && isWithin(app, this.app) && isWithin(context, app))
  }

  /** Checks a route's config under this registration's name. */
  configure (route: Pick<RouteOptions, 'url' | 'method' | 'config'> | FastifyRequest['routeOptions'], context: FastifyInstance): ScopeSettings {
    const method = Array.isArray(route.method) ? route.method.join('|') : route.method
    const config = this.isHiddenIn(context) ? undefined : (route.config as Record<string, unknown> | undefined)?.[this.name]
    return this.settings(config, `${method} ${route.url}`)
  }

  /** @throws OptionError (`FST_SESSION_OPTION`) that names the route */
  settings (config: unknown, route: string): ScopeSettings {
    const { provider } = this.options
    const base = { route, commits: provider.commits, trace: this.sessions.traceOf(route) }
    const where = `config.${this.name} of ${route}`
    if (config === false) return { ...base, opener: undefined, commit: 'onSend', commitWhen: undefined }
    if (config !== undefined && (typeof config !== 'object' || config === null)) {
      throw new OptionError(where, `must be an object of options, or false to refuse the session; got ${describeType(config)}`)
    }
    const { commit, commitWhen, ...rest } = (config ?? {}) as CommitOptions & Record<string, unknown>
    const own = checkOptions<CommitOptions>(where, { commit, commitWhen }, commitRules)
    return {
      ...base,
      opener: provider.forRoute((config === undefined ? undefined : rest) as never, where, commitOptions),
      commit: own.commit ?? this.options.commit,
      commitWhen: own.commitWhen ?? this.options.commitWhen,
    }
  }
}

function isWithin (inner: FastifyInstance, outer: FastifyInstance): boolean {
  return inner === outer || Object.prototype.isPrototypeOf.call(outer, inner)
}
