/** The two levels of a Fastify logger that are used here. */
export interface Log {
  warn (details: object, message: string): void
  error (details: object, message: string): void
}

/** Tells the operator what no caller is waiting for: in the app's log, or as a process warning where there is none. */
export function report (log: Log | undefined, level: keyof Log, details: { readonly err?: unknown, [field: string]: unknown }, message: string): void {
  if (log !== undefined) log[level](details, message)
  else process.emitWarning(details.err instanceof Error ? `${message}: ${details.err.message}` : message, 'FastifyRequestSessionWarning')
}
