import type { Readable, Writable } from 'node:stream'

/** What the command runs in: a `process`. */
export interface Surroundings {
  readonly stdin: Readable & { readonly isTTY?: boolean | undefined }
  readonly stdout: Writable & { readonly isTTY?: boolean | undefined }
  readonly stderr: Writable & { readonly isTTY?: boolean | undefined }
  readonly env: Readonly<Record<string, string | undefined>>
}

/** What the command ends with. Documented in the README. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, nothingFound: 3, hungUp: 129, interrupted: 130, terminated: 143 } as const

export type ExitCode = typeof exitCodes[keyof typeof exitCodes]
