import { Option, type Command } from 'commander'
import type { RestoreOptions, RestoreResult } from '../token/manage/restore.js'
import { withSessions } from './connection.js'
import { addCommonOptions, addConfirmOption, confirmed, type AddCommand, type CommonOptions, type ConfirmOptions } from './options.js'
import { describeRedis, toPlainLine, writeObject } from './output.js'
import { exitCodes, withProgress, type Terminal } from './terminal.js'

interface RestoreCommandOptions extends CommonOptions, ConfirmOptions {
  readonly onConflict: NonNullable<RestoreOptions['onConflict']>
  readonly skipDamaged?: true
}

export const addRestoreCommand: AddCommand = (program, terminal, exit) => {
  addCommonOptions(addConfirmOption(program.command('restore')))
    .description('Restores saved sessions, each completely or not at all. Their tokens are valid again.')
    .argument('<file>', 'the file, or - for standard input')
    .addOption(new Option('--on-conflict <what>', 'the action if a session exists').choices(['fail', 'skip', 'replace']).default('fail'))
    .option('--skip-damaged', 'skip lines that cannot be read, and count them')
    .action(async (file: string, options: RestoreCommandOptions, command: Command) => {
      const { onConflict } = options
      const question = toPlainLine(`Replace sessions by those of ${JSON.stringify(file)}, in ${describeRedis(command, options)}?`)
      if (onConflict === 'replace' && !await confirmed(command, terminal, options, question)) return exit(exitCodes.failed)
      exit(await withSessions(command, terminal, options, async ({ users }) => {
        try {
          const result = await withProgress(terminal, (report) => users.restore(file === '-' ? terminal.stdin : file, {
            onConflict,
            onDamage: options.skipDamaged ? 'skip' : 'fail',
            onProgress: (result) => report(`${countSessions(result)} of the file's sessions`),
          }))
          await writeObject(terminal, result, options.json)
          return exitCodes.ok
        } catch (error) {
          await writePartialResult(terminal, options, error)
          throw withCommandOptions(error)
        }
      }))
    })
}

/** Rewrites the advice in an error's message from the method's options to the command's. */
function withCommandOptions (error: unknown): unknown {
  if (error instanceof Error) {
    error.message = error.message
      .replace("onConflict: 'skip' or 'replace'", '--on-conflict skip or --on-conflict replace')
      .replace("onDamage: 'skip'", '--skip-damaged')
  }
  return error
}

/** Writes the counts of the sessions that were restored before the failure. */
async function writePartialResult (terminal: Terminal, { json }: RestoreCommandOptions, error: unknown): Promise<void> {
  const { result } = Object(error) as { result?: RestoreResult }
  if (result !== undefined) await writeObject(terminal, result, json)
}

function countSessions ({ restored, replaced, skipped, expired, damaged }: RestoreResult): number {
  return restored + replaced + skipped + expired + damaged
}
