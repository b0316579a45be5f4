import { createRequire } from 'node:module'
import { Command, CommanderError } from 'commander'
import { addDoctorCommand } from './doctor.js'
import { addEndAllCommand, addEndCommand } from './end.js'
import { addInfoCommand, addListCommand } from './list.js'
import { toPlainLine } from './output.js'
import { addRestoreCommand } from './restore.js'
import { addSaveCommand } from './save.js'
import { exitCodes, type ExitCode, type Terminal } from './terminal.js'

const commands = [addListCommand, addInfoCommand, addEndCommand, addEndAllCommand, addSaveCommand, addRestoreCommand, addDoctorCommand]

/** Codes of errors that a wrong command line causes. */
const usageErrors = new Set<unknown>(['FST_SESSION_OPTION', 'FST_SESSION_NAME', 'FST_SESSION_NO_SECRET'])

/** Runs the operator's command. A failure is one line on standard error and an exit code, never a rejection. */
export async function run (args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { stdout, stderr } = terminal
  let code: ExitCode = exitCodes.ok
  const program = new Command('fastify-request-session')
    .description('Lists, ends, saves and restores the token sessions of fastify-request-session in a Redis, and checks the server.')
    .version(version(), '--version')
    .helpOption('--help')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => { stdout.write(text) },
      writeErr: (text) => { stderr.write(text) },
      outputError: (text, write) => { write(`${toPlainLine(text.trim())}\n`) },
    })
    .addHelpText('after', '\nExit codes: 0 (success), 1 (failure, or damaged sessions were skipped), 2 (wrong usage), 3 (no such session),\n130 (interrupted).')
  for (const addCommand of commands) addCommand(program, terminal, (exitCode) => { code = exitCode })
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    const { code, message = String(error) } = Object(error) as { code?: unknown, message?: string }
    stderr.write(`${toPlainLine(`error: ${typeof code === 'string' && !message.includes(code) ? `${code}: ` : ''}${message}`)}\n`)
    return usageErrors.has(code) ? exitCodes.usage : exitCodes.failed
  }
}

function version (): string {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  return version
}
