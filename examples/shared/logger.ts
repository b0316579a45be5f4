/** Warnings and errors go to the standard error: the standard output has one line, the address. */
export const logger = { level: 'warn', stream: process.stderr }
