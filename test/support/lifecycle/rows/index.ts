import type { Row } from '../row.js'
import { errors } from './errors.js'
import { replies } from './replies.js'

/** Every row of the lifecycle's table, in its order. */
export const rows: readonly Row[] = [...replies, ...errors]
