import type { Command } from 'commander'
import { withSessions } from './connection.js'
import { addCommonOptions, type AddCommand, type CommonOptions } from './options.js'
import { writeObject } from './output.js'
import { exitCodes, withProgress, type ExitCode, type Terminal } from './terminal.js'

interface SaveCommandOptions extends CommonOptions {
  readonly skipDamaged?: true
}

const signalCodes = { SIGHUP: exitCodes.hungUp, SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated } as const

export const addSaveCommand: AddCommand = (program, terminal, exit) => {
  addCommonOptions(program.command('save'))
    .description('Saves all sessions, with their data, as lines of JSON. A file is replaced once the new one is complete.')
    .argument('<file>', 'the file, or - for standard output')
    .option('--skip-damaged', 'skip sessions that cannot be read, and count them')
    .action(async (file: string, options: SaveCommandOptions, command: Command) => {
      const toStdout = file === '-'
      if (toStdout && terminal.stdout.isTTY) command.error("error: save - would show the sessions' data on this terminal: name a file, or write to a pipe")
      exit(await withSessions(command, terminal, options, async ({ users }) => {
        const save = async (signal?: AbortSignal): Promise<ExitCode> => {
          const result = await withProgress(terminal, (report) => users.save(toStdout ? terminal.stdout : file, {
            onDamage: options.skipDamaged ? 'skip' : 'fail',
            onProgress: ({ sessions }) => report(`${sessions} saved`),
            signal,
          }))
          await writeObject(toStdout ? { ...terminal, stdout: terminal.stderr } : terminal, result, options.json)
          return exitCodes.ok
        }
        return toStdout ? save() : abortOnSignal(terminal, save)
      }))
    })
}

/**
 * Aborts the save at a signal that would end the process, so that no partial file remains. A second signal ends
 * the process at once.
 */
async function abortOnSignal ({ stderr }: Terminal, save: (signal: AbortSignal) => Promise<ExitCode>): Promise<ExitCode> {
  const controller = new AbortController()
  let code: ExitCode | undefined
  const abort = (signal: NodeJS.Signals): void => {
    code = signalCodes[signal as keyof typeof signalCodes]
    controller.abort()
    stopListening()
  }
  const stopListening = (): void => { for (const signal of Object.keys(signalCodes)) process.off(signal, abort) }
  for (const signal of Object.keys(signalCodes)) process.on(signal, abort)
  try {
    return await save(controller.signal)
  } catch (error) {
    if (code === undefined || Object(error).name !== 'AbortError') throw error
    stderr.write('Interrupted: nothing was saved.\n')
    return code
  } finally {
    stopListening()
  }
}
