import type { ErrorReplies, ErrorReply, OpenSession } from '../core/provider.js'
import type { Neo4jSession } from './driver-types.js'
import { replyToDriverError } from './translate-errors.js'

/** A session within one scope: each of its queries commits by itself, so that all there is to do is to close it. */
export class OpenGraphSession implements OpenSession<Neo4jSession>, ErrorReplies {
  readonly session: Neo4jSession

  constructor (session: Neo4jSession) {
    this.session = session
  }

  beforeHeaders (): void {}
  commit (): void {}
  rollback (): void {}

  /** Ends what is still running in it on the server. */
  close (): Promise<void> {
    return this.session.close()
  }

  replyTo (error: unknown): ErrorReply | undefined {
    return replyToDriverError(error, false)
  }
}
