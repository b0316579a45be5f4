import type { FastifyBaseLogger, RouteOptions } from 'fastify'
import { checkOptions, describeType } from '../util/option-rules.js'
import { OptionError } from '../errors.js'
import { commitRules, type PluginOptions } from './options.js'
import type { CommitOptions } from '../core/provider.js'
import { usedScopes } from './settle-request.js'
import type { ScopeSettings } from '../core/scope.js'
import { Tracker } from '../core/open-sessions.js'

/** One `app.register(requestSession, …)`: its provider, its routes' settings, its count. */
export class Registration {
  /** Where a route's config keeps this registration's settings. */
  readonly key: symbol
  readonly options: PluginOptions
  readonly tracker: Tracker
  /** The settings of a route that says nothing, and of the not-found handler. */
  readonly defaults: ScopeSettings

  constructor (options: PluginOptions, order: number, log: FastifyBaseLogger) {
    this.key = Symbol(`fastify-request-session.${options.name}`)
    this.options = options
    this.tracker = new Tracker(options.name, options.provider.kind, log, order)
    if (options.warnAfter > 0) this.tracker.watch(options.warnAfter)
    this.defaults = this.settings(undefined, 'the not-found handler')
  }

  get name (): string { return this.options.name }

  /** Checks what a route's config says under this registration's name. */
  configure (route: RouteOptions): ScopeSettings {
    const method = Array.isArray(route.method) ? route.method.join('|') : route.method
    return this.settings((route.config as Record<string, unknown> | undefined)?.[this.name], `${method} ${route.url}`)
  }

  /** @throws OptionError (`FST_SESSION_OPTION`) that names the route */
  settings (config: unknown, route: string): ScopeSettings {
    const { provider } = this.options
    const base = { route, commits: provider.commits, trace: this.tracker.traceOf(route) }
    const where = `config.${this.name} of ${route}`
    if (config === false) return { ...base, opener: undefined, commit: 'onSend', commitWhen: undefined }
    if (config !== undefined && (typeof config !== 'object' || config === null)) {
      throw new OptionError(where, `must be an object of options, or false to refuse the session; got ${describeType(config)}`)
    }
    const { commit, commitWhen, ...rest } = (config ?? {}) as CommitOptions & Record<string, unknown>
    const own = checkOptions<CommitOptions>(where, { commit, commitWhen }, commitRules)
    return {
      ...base,
      opener: provider.forRoute((config === undefined ? undefined : rest) as never, where),
      commit: own.commit ?? this.options.commit,
      commitWhen: own.commitWhen ?? this.options.commitWhen,
    }
  }

  /** Settles and closes whatever is still open, when the app closes. */
  async drain (): Promise<void> {
    this.tracker.unwatch()
    await Promise.all([...this.tracker.open].map(async (scope) => {
      const { request } = scope
      if (request === undefined) await scope.finish(scope.settings.commits === 'always' && !scope.failed)
      else await usedScopes(request)?.finish()
    }))
  }
}
