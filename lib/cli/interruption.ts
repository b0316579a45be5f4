import { exitCodes, type ExitCode, type Surroundings } from './terminal.js'

const signals = { SIGHUP: exitCodes.hungUp, SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated } as const

/**
 * Saves: a signal that would end the process stops it, so that no half file stays behind. A second one ends the process at
 * once.
 */
export async function interruptible ({ stderr }: Surroundings, save: (signal: AbortSignal) => Promise<ExitCode>): Promise<ExitCode> {
  const controller = new AbortController()
  let code: ExitCode | undefined
  const interrupt = (signal: NodeJS.Signals): void => {
    code = signals[signal as keyof typeof signals]
    controller.abort()
    ignore()
  }
  const ignore = (): void => { for (const signal of Object.keys(signals)) process.off(signal, interrupt) }
  for (const signal of Object.keys(signals)) process.on(signal, interrupt)
  try {
    return await save(controller.signal)
  } catch (error) {
    if (code === undefined || Object(error).name !== 'AbortError') throw error
    stderr.write('Interrupted: nothing was saved.\n')
    return code
  } finally {
    ignore()
  }
}
