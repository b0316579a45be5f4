const [name, replacement] = (process.env.REPLACE ?? '').split('=')

/** A hook of Node's, run in a thread of its own. */
export function resolve (specifier, context, nextResolve) {
  return specifier === name ? nextResolve(replacement, { ...context, parentURL: import.meta.url }) : nextResolve(specifier, context)
}
