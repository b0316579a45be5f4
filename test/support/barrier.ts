/** A point that some wait at until another opens it: what a test has instead of a sleep. */
export interface Barrier {
  /** Resolves once the barrier is open. */
  readonly opened: Promise<void>
  open (): void
}

export function barrier (): Barrier {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => { open = resolve })
  return { opened, open }
}
