import { types } from 'node:util'
import type { AnyProvider, CommitOptions } from '../core/provider.js'
import { OptionError } from '../errors.js'
import { providerRules } from '../token/options.js'
import { cookieHint } from '../token/transport/cookie-transport.js'
import { checkOptions, oneOf, rules, wholeNumber, withMethods, type Rule } from '../util/option-rules.js'

/**
 * Options of the plugin.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import requestSession, { tokenSessions } from 'fastify-request-session'
 *
 * const app = Fastify()
 * await app.register(requestSession, { name: 'session', provider: tokenSessions({ ttl: 600 }), warnAfter: 10_000 })
 * ```
 */
export interface RequestSessionOptions<P extends AnyProvider = AnyProvider> extends CommitOptions {
  /**
   * The name of everything that this registration adds: `request.<name>`, `app.get<Name>`, `app.<name>Provider`, route config `<name>`.
   * @default 'session'
   */
  name?: string | undefined
  /**
   * The kind of session.
   * @default tokenSessions(): token sessions in the embedded memory store
   */
  provider?: P | undefined
  /**
   * Milliseconds after which the log warns of a held session, with its route and the stack of its opening; 0: never. A committed
   * session with a streaming reply is not held, nor is a token session once its reply has begun (an event stream).
   * @default 30000
   */
  warnAfter?: number | undefined
  /**
   * `true`: `currentSession(provider)` finds the session of the calling request, and `getSession(undefined, …)` joins it.
   * Each request of the instance costs about 4 microseconds more.
   * @default false
   */
  ambient?: boolean | undefined
}

/** The plugin's options, whole and checked. */
export interface PluginOptions {
  readonly name: string
  readonly provider: AnyProvider
  readonly commit: 'onSend' | 'onResponse'
  readonly commitWhen: CommitOptions['commitWhen']
  readonly warnAfter: number
  readonly ambient: boolean
}

export const commitRules = {
  commit: oneOf('onSend', 'onResponse'),
  commitWhen: {
    allowed: 'a synchronous function',
    test: (value) => typeof value === 'function' && !types.isAsyncFunction(value),
  },
} satisfies Record<keyof CommitOptions, Rule>

const pluginRules: Record<keyof RequestSessionOptions, Rule> = {
  ...commitRules,
  name: {
    allowed: 'a JavaScript identifier that starts with a lower-case letter',
    test: (value) => typeof value === 'string' && /^[a-z][A-Za-z0-9_$]*$/.test(value),
  },
  provider: withMethods('a session provider such as tokenSessions()', 'forRoute', 'forCall'),
  warnAfter: wholeNumber('milliseconds', 0, 2_147_483_647),
  ambient: rules.boolean,
}

const defaults = Object.freeze({ name: 'session', commit: 'onSend', commitWhen: undefined, warnAfter: 30_000, ambient: false } as const)

/** Checks the plugin's options. Fastify itself adds `prefix`, `logLevel` and `logSerializers` to them: those are its own. */
export function pluginOptions (options: RequestSessionOptions | undefined, defaultProvider: () => AnyProvider): PluginOptions {
  // `register` also takes a function that returns the options, and passes on any result.
  if (pluginRules.provider.test(options)) throw new OptionError('requestSession', 'got a provider in place of options: write { provider: … }')
  const { prefix, logLevel, logSerializers, ...own } = (options ?? {}) as RequestSessionOptions & Record<string, unknown>
  const checked = checkOptions<RequestSessionOptions>('requestSession', own, pluginRules, [], providerHint)
  return Object.freeze({ ...defaults, ...checked, provider: checked.provider ?? defaultProvider() }) as PluginOptions
}

/** Distinguishes options of the default provider and its cookie from misspelt ones. */
function providerHint (name: string): string {
  if (Object.hasOwn(providerRules, name)) return `. It belongs to tokenSessions(): write provider: tokenSessions({ ${name}: … })`
  return cookieHint(name)
}
