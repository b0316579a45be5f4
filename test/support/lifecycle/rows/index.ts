import type { Row } from '../row.js'
import { departures } from './departures.js'
import { ends } from './ends.js'
import { errors } from './errors.js'
import { hijacks } from './hijacks.js'
import { onResponseHooks } from './on-response-hooks.js'
import { pipelines } from './pipelines.js'
import { replies } from './replies.js'
import { send } from './send.js'
import { streams } from './streams.js'
import { timeouts } from './timeouts.js'
import { websockets } from './websockets.js'

/** Every row of the lifecycle's table, with its variants. */
export const rows: readonly Row[] = [
  ...replies, ...errors, ...send, ...streams, ...onResponseHooks, ...departures, ...pipelines, ...hijacks, ...websockets, ...timeouts, ...ends,
]
