import type { FastifyRequest, RouteOptions } from 'fastify'

type Hook = (...args: never[]) => void

/** The hooks that a route runs after all others. */
export type LastHooks = Readonly<Record<'onSend' | 'onResponse', Hook>>

/** The parts of Fastify's own object of a route that are used here. `request.routeOptions` has its config alone. */
export interface RouteContext {
  readonly config?: object
  readonly onSend?: unknown
  readonly onResponse?: unknown
}

/** Marks the config of a route that `keepLast` has seen. */
const kHasLast = Symbol('fastify-request-session.hasLast')

const kUnknown = Symbol('fastify-request-session.unknown')

/**
 * The key under which a request holds its route's context, a private one of Fastify: no public way leads to the hooks of
 * a route that was defined before the plugin was loaded. Each copy of Fastify in a process has its own; the last one seen is
 * kept, which spares a search and the copy that `request.routeOptions` makes at each look.
 */
export let kContext: typeof kUnknown = kUnknown

/** A request as Fastify has it inside. */
export interface Routed { [kUnknown]?: RouteContext }

/** The context of a request's route, or its public options where this Fastify has no such context. */
export function contextOf (request: FastifyRequest): RouteContext {
  const key = Object.getOwnPropertySymbols(request).find(({ description }) => description === 'fastify.context')
  if (key === undefined) return request.routeOptions
  kContext = key as typeof kUnknown
  return Reflect.get(request, key) as RouteContext
}

/**
 * Keeps hooks at the end of a route's lists, even if later plugins add theirs: Fastify reads the lists when all plugins are
 * loaded.
 */
export function keepLast (route: RouteOptions, last: LastHooks): void {
  for (const name of ['onSend', 'onResponse'] as const) {
    const hook = last[name]
    let hooks = without(route[name], hook)
    Object.defineProperty(route, name, {
      configurable: true,
      enumerable: true,
      get: () => {
        hooks = without(hooks, hook)
        hooks.push(hook)
        return hooks
      },
      set: (list: unknown) => { hooks = without(list, hook) },
    })
  }
  keepInConfig(route, kHasLast, () => true)
}

/** Functions that make the values of a route's config, by the keys of these. */
const kept = new WeakMap<RouteOptions, Map<symbol, () => unknown>>()

/**
 * Keeps a value in a route's config, even if later plugins replace that. It is made when the config is copied, by Fastify after all onRoute
 * hooks: their changes of the config count.
 */
export function keepInConfig (route: RouteOptions, key: symbol, make: () => unknown): void {
  const makers = kept.get(route) ?? keepConfig(route)
  makers.set(key, make)
  const { config = {} } = route
  route.config = config
}

function keepConfig (route: RouteOptions): Map<symbol, () => unknown> {
  const makers = new Map<symbol, () => unknown>()
  kept.set(route, makers)
  let { config } = route
  Object.defineProperty(route, 'config', {
    configurable: true,
    enumerable: true,
    get: () => config,
    set: (replaced: RouteOptions['config']) => { config = withMade(replaced, makers) },
  })
  return makers
}

/** A copy of a route's config with the values that are made when it is copied in turn. */
function withMade (config: RouteOptions['config'], makers: ReadonlyMap<symbol, () => unknown>): NonNullable<RouteOptions['config']> {
  const copy: object = Object.defineProperties({}, Object.getOwnPropertyDescriptors(Object(config)))
  for (const [key, get] of makers) Object.defineProperty(copy, key, { configurable: true, enumerable: true, get })
  return copy as NonNullable<RouteOptions['config']>
}

/** The lists of hooks that `addLast` has added to. */
const extended = new WeakSet<unknown[]>()

/**
 * Gives its last hooks to a route that was defined before the plugin was loaded, or to a not-found handler, at its first
 * request. Fastify reads the lists as they are when it runs them; they exist, since the plugin adds hooks of these names to
 * the instance.
 *
 * @returns false if this Fastify has no such lists
 */
export function addLast ({ config, onSend, onResponse }: RouteContext, last: LastHooks): boolean {
  if (config !== undefined && kHasLast in config) return true
  if (!Array.isArray(onSend) || !Array.isArray(onResponse)) return false
  for (const [list, hook] of [[onSend, last.onSend], [onResponse, last.onResponse]] as const) {
    if (!extended.has(list)) list.push(hook)
    extended.add(list)
  }
  return true
}

/** True for a list of hooks that `addLast` has added to. */
export function isExtended (list: unknown): boolean {
  return extended.has(list as unknown[])
}

function without (hooks: unknown, hook: unknown): unknown[] {
  return (hooks === undefined ? [] : [hooks].flat()).filter((other) => other !== hook)
}
