/** Why an example cannot start, and what the reader can do about it: printed as one line, without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError'
}
