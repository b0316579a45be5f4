import { createInterface } from 'node:readline'
import { Writable, type Readable } from 'node:stream'

/** Standard streams and environment of the command. A `process` is one. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean | undefined }
  readonly stdout: Writable & { readonly isTTY?: boolean | undefined }
  readonly stderr: Writable & { readonly isTTY?: boolean | undefined }
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Exit codes of the command, as docs/cli.md documents them. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, notFound: 3, hungUp: 129, interrupted: 130, terminated: 143 } as const

export type ExitCode = typeof exitCodes[keyof typeof exitCodes]

/** Milliseconds between two updates of the progress line. */
const progressInterval = 100

/** Characters to read from a pipe at most: the longest token, with room for blanks around it. */
const maxTokenInput = 1024

/** True when questions can be asked: a person reads standard error and types on standard input. */
export function isInteractive ({ stdin, stderr }: Terminal): boolean {
  return stdin.isTTY === true && stderr.isTTY === true
}

/** Asks a yes-or-no question. Anything but `y` or `yes` is a no. */
export async function confirm (terminal: Terminal, question: string): Promise<boolean> {
  const answer = await readLine(terminal, `${question} [y/N] `, terminal.stderr)
  if (/^y(es)?$/i.test(answer.trim())) return true
  terminal.stderr.write('Nothing was done.\n')
  return false
}

/** Reads a token from standard input. An interactive terminal prompts for it and does not echo it. */
export async function readToken (terminal: Terminal): Promise<string> {
  if (isInteractive(terminal)) {
    terminal.stderr.write('Token: ')
    const token = await readLine(terminal, '', new Writable({ write: (_chunk, _encoding, done) => done() }))
    terminal.stderr.write('\n')
    return token.trim()
  }
  let text = ''
  for await (const chunk of terminal.stdin) {
    text += String(chunk)
    if (text.length > maxTokenInput) break
  }
  return text.trim()
}

/**
 * Runs long work that reports its progress on one line of standard error, which is cleared when the work is over.
 * Nothing is shown when standard error is no terminal, or with `visible: false`.
 */
export async function withProgress<T> (
  { stderr }: Terminal, work: (report: (text: string) => void) => Promise<T>, { visible = true } = {}
): Promise<T> {
  let reportedAt = 0
  const report = (text: string): void => {
    const now = Date.now()
    if (!visible || stderr.isTTY !== true || now - reportedAt < progressInterval) return
    reportedAt = now
    stderr.write(`\r\x1b[K${text}`)
  }
  try {
    return await work(report)
  } finally {
    if (reportedAt > 0) stderr.write('\r\x1b[K')
  }
}

/** Reads one line; '' when the input ends before it. */
function readLine ({ stdin }: Terminal, question: string, output: Writable): Promise<string> {
  const lines = createInterface({ input: stdin, output, terminal: true })
  return new Promise((resolve) => {
    lines.once('close', () => resolve(''))
    lines.question(question, (answer) => {
      resolve(answer)
      lines.close()
    })
  })
}
