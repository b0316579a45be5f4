import { Option, type Command } from 'commander'
import type { RestoreOptions, RestoreResult } from '../token/manage/restore.js'
import { interruptible } from './interruption.js'
import { commonOptions, type CommonOptions } from './options.js'
import { plain, writeObject } from './output.js'
import { Progress } from './progress.js'
import { confirmed, confirmOption, type ConfirmOptions } from './prompt.js'
import type { AddCommands } from './program.js'
import { placeOf, withSessions } from './sessions.js'
import { exitCodes, type Surroundings } from './terminal.js'

interface SaveOptions extends CommonOptions {
  readonly skipDamaged?: true
}

interface RestoringOptions extends CommonOptions, ConfirmOptions {
  readonly onConflict: NonNullable<RestoreOptions['onConflict']>
  readonly skipDamaged?: true
}

/** The commands that copy sessions: `save` and `restore`. */
export const addCopyCommands: AddCommands = (program, surroundings, done) => {
  commonOptions(program.command('save'))
    .description('Saves all sessions, with their data, as lines of JSON. A file is replaced once the new one is whole.')
    .argument('<file>', 'the file, or - for standard output')
    .option('--skip-damaged', 'leave out sessions that cannot be read, and count them')
    .action(async (file: string, options: SaveOptions, command: Command) => {
      const toStdout = file === '-'
      if (toStdout && surroundings.stdout.isTTY) command.error("error: save - would show the sessions' data on this terminal: name a file, or write to a pipe")
      done(await withSessions(command, surroundings, options, async ({ users }) => {
        const progress = new Progress(surroundings)
        try {
          const save = async (signal?: AbortSignal) => {
            const result = await users.save(toStdout ? surroundings.stdout : file, {
              onDamage: options.skipDamaged ? 'skip' : 'fail',
              onProgress: ({ sessions }) => progress.tell(`${sessions} saved`),
              signal,
            })
            progress.end()
            await writeObject(toStdout ? { ...surroundings, stdout: surroundings.stderr } : surroundings, result, options.json)
            return exitCodes.ok
          }
          return await (toStdout ? save() : interruptible(surroundings, save))
        } finally {
          progress.end()
        }
      }))
    })

  commonOptions(confirmOption(program.command('restore')))
    .description('Puts saved sessions back, each wholly or not at all. Their tokens are valid again.')
    .argument('<file>', 'the file, or - for standard input')
    .addOption(new Option('--on-conflict <what>', 'what happens where there is a session already').choices(['fail', 'skip', 'replace']).default('fail'))
    .option('--skip-damaged', 'leave out lines that cannot be read, and count them')
    .action(async (file: string, options: RestoringOptions, command: Command) => {
      const { onConflict } = options
      const question = plain(`Replace sessions by those of ${JSON.stringify(file)}, in ${placeOf(command, options)}?`)
      if (onConflict === 'replace' && !await confirmed(command, surroundings, options, question)) return done(exitCodes.failed)
      done(await withSessions(command, surroundings, options, async ({ users }) => {
        const progress = new Progress(surroundings)
        try {
          const result = await users.restore(file === '-' ? surroundings.stdin : file, {
            onConflict,
            onDamage: options.skipDamaged ? 'skip' : 'fail',
            onProgress: (result) => progress.tell(`${lines(result)} of the file's sessions`),
          })
          progress.end()
          await writeObject(surroundings, result, options.json)
          return exitCodes.ok
        } catch (error) {
          progress.end()
          await writeResult(surroundings, options, error)
          throw inOptions(error)
        }
      }))
    })
}

/** The error, with the command's own options in the place of those that it advises. */
function inOptions (error: unknown): unknown {
  if (error instanceof Error) {
    error.message = error.message
      .replace("onConflict: 'skip' or 'replace'", '--on-conflict skip or --on-conflict replace')
      .replace("onDamage: 'skip'", '--skip-damaged')
  }
  return error
}

/** What was restored before it failed. */
async function writeResult (surroundings: Surroundings, { json }: RestoringOptions, error: unknown): Promise<void> {
  const { result } = Object(error) as { result?: RestoreResult }
  if (result !== undefined) await writeObject(surroundings, result, json)
}

function lines ({ restored, replaced, skipped, expired, damaged }: RestoreResult): number {
  return restored + replaced + skipped + expired + damaged
}
