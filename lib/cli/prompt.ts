import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import type { Command } from 'commander'
import type { Surroundings } from './terminal.js'

/** The longest token, in characters, with room for blanks around it. */
const maxLength = 1024

/** Commands that destroy something. */
export interface ConfirmOptions {
  readonly yes?: true
}

export function confirmOption (command: Command): Command {
  return command.option('-y, --yes', 'do not ask whether it is meant')
}

/**
 * Asks whether something is meant, unless `--yes` says so. Where there is nobody to ask that is needed: wrong usage.
 * @returns whether to go on
 */
export async function confirmed (command: Command, surroundings: Surroundings, { yes }: ConfirmOptions, question: string): Promise<boolean> {
  if (yes) return true
  if (!isTerminal(surroundings)) command.error(`error: ${command.name()} destroys sessions: without a terminal to ask at, it needs --yes`)
  const answer = await ask(surroundings, `${question} [y/N] `, surroundings.stderr)
  if (/^y(es)?$/i.test(answer.trim())) return true
  surroundings.stderr.write('Nothing was done.\n')
  return false
}

/** A token from standard input: on a terminal it is asked for, and not shown as it is typed. */
export async function readToken (surroundings: Surroundings): Promise<string> {
  if (isTerminal(surroundings)) {
    surroundings.stderr.write('Token: ')
    const token = await ask(surroundings, '', new Writable({ write: (_chunk, _encoding, done) => done() }))
    surroundings.stderr.write('\n')
    return token.trim()
  }
  let text = ''
  for await (const chunk of surroundings.stdin) {
    text += String(chunk)
    if (text.length > maxLength) break
  }
  return text.trim()
}

function isTerminal ({ stdin, stderr }: Surroundings): boolean {
  return stdin.isTTY === true && stderr.isTTY === true
}

/** One line; '' if the input ends before. */
function ask ({ stdin }: Surroundings, question: string, output: Writable): Promise<string> {
  const lines = createInterface({ input: stdin, output, terminal: true })
  return new Promise((resolve) => {
    lines.once('close', () => resolve(''))
    lines.question(question, (answer) => {
      resolve(answer)
      lines.close()
    })
  })
}
