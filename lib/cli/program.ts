import { createRequire } from 'node:module'
import { Command, CommanderError } from 'commander'
import { addCopyCommands } from './copy.js'
import { addEndCommands } from './end.js'
import { addLookCommands } from './look.js'
import { plain } from './output.js'
import { exitCodes, type ExitCode, type Surroundings } from './terminal.js'

/** Adds commands to the program. Each tells `done` what it ends with. */
export type AddCommands = (program: Command, surroundings: Surroundings, done: (code: ExitCode) => void) => void

/** Errors that what was written on the command line leads to. */
const usageErrors = new Set<unknown>(['FST_SESSION_OPTION', 'FST_SESSION_NAME', 'FST_SESSION_NO_SECRET'])

/** Runs the operator's command. It never throws: what fails is a line on stderr and an exit code. */
export async function run (args: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  const { stdout, stderr } = surroundings
  let code: ExitCode = exitCodes.ok
  const program = new Command('fastify-request-session')
    .description('Looks at, ends, saves and restores the token sessions that fastify-request-session keeps in a Redis.')
    .version(version(), '--version')
    .helpOption('--help')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => { stdout.write(text) },
      writeErr: (text) => { stderr.write(text) },
      outputError: (text, write) => { write(`${plain(text.trim())}\n`) },
    })
    .addHelpText('after', '\nIt ends with 0 (done), 1 (failed, or damaged sessions were left out), 2 (wrong usage), 3 (there is no such session) or\n130 (interrupted).')
  for (const add of [addLookCommands, addEndCommands, addCopyCommands]) add(program, surroundings, (ended) => { code = ended })
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    const { code, message = String(error) } = Object(error) as { code?: unknown, message?: string }
    stderr.write(`${plain(`error: ${typeof code === 'string' && !message.includes(code) ? `${code}: ` : ''}${message}`)}\n`)
    return usageErrors.has(code) ? exitCodes.usage : exitCodes.failed
  }
}

function version (): string {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  return version
}
