import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { RavenCommand } from 'ravendb'

/** The field in which RavenDB's client keeps the contents of a save's attachments. */
const field = '_attachmentStreams'

/**
 * Reads the attachments of a save that are streams, and rejects with the error of a source. The client would read them
 * while it sends: it takes an error of a source for one of the server, which it then avoids, and sends nothing of a
 * source to the second node that it tries. `undefined` when there is nothing to read.
 */
export function readAttachments (command: RavenCommand<unknown>): Promise<void> | undefined {
  const contents: unknown = Reflect.get(command, field)
  if (!(contents instanceof Set) || ![...contents].some((content) => content instanceof Readable)) return undefined
  return Promise.all([...contents].map(readContent)).then((read) => { Reflect.set(command, field, new Set(read)) })
}

function readContent (content: unknown): unknown {
  return content instanceof Readable ? buffer(content) : content
}
