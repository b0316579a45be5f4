import neo4j, { Neo4jError } from 'neo4j-driver'
import t from 'tap'
import { beginError, commitError, replyToDriverError } from '../../lib/neo4j/translate-errors.js'

// Errors that a single server without authentication never answers with; the others are in on-server/errors.ts.
const { SERVICE_UNAVAILABLE, SESSION_EXPIRED } = neo4j.error
const route = 'GET /'

function driverError (code: string, cause?: Error, message = 'said the driver'): Neo4jError {
  return new Neo4jError(message, code, '50N42', '', undefined, cause)
}

const unavailable = { code: 'FST_SESSION_DATABASE_UNAVAILABLE', statusCode: 503, headers: { 'retry-after': '1' } }

t.test('a transaction that cannot begin', async (t) => {
  for (const [code, expected] of [
    ['Neo.ClientError.Security.Unauthorized', { code: 'FST_SESSION_OPEN', statusCode: 500, message: 'The session could not be opened.' }],
    ['Neo.ClientError.Security.Forbidden', { code: 'FST_SESSION_OPEN', statusCode: 500 }],
    ['Neo.ClientError.Security.AuthorizationExpired', unavailable],
    ['Neo.TransientError.General.DatabaseUnavailable', unavailable],
    [SERVICE_UNAVAILABLE, unavailable],
    [SESSION_EXPIRED, unavailable],
    ['N/A', { code: 'FST_SESSION_OPEN', statusCode: 500 }],
    ['ProtocolError', { code: 'FST_SESSION_OPEN', statusCode: 500 }],
  ] as const) {
    const cause = driverError(code)
    const error = beginError(cause, route)
    t.match(error, expected, code)
    t.equal((error as Error).cause, cause, 'the driver\'s own error is kept')
  }
  t.match(beginError(driverError('N/A', undefined, 'Connection acquisition timed out in 60000 ms. …'), route), unavailable)
  const own = new TypeError('a mistake of the app')
  t.equal(beginError(own, route), own, 'an error of the app is told as it is')
})

t.test('a commit that fails', async (t) => {
  const unknown = { code: 'FST_SESSION_OUTCOME_UNKNOWN', statusCode: 503 }
  const leaderSwitch = driverError('Neo.ClientError.Cluster.NotALeader')
  for (const [error, expected] of [
    [driverError('Neo.ClientError.Schema.ConstraintValidationFailed'), { code: 'FST_SESSION_COMMIT', statusCode: 500, message: 'The changes were not saved.' }],
    [driverError('Neo.TransientError.Transaction.DeadlockDetected'), unavailable],
    [driverError(SESSION_EXPIRED, leaderSwitch), unavailable],
    [driverError(SESSION_EXPIRED), unknown],
    [driverError(SERVICE_UNAVAILABLE), unknown],
    [driverError('ProtocolError'), unknown],
    [driverError('N/A'), unknown],
  ] as const) {
    t.match(commitError(error, route), expected, error.code)
  }
})

t.test('an error that the app let through', async (t) => {
  const full = driverError('N/A', undefined, 'Connection acquisition timed out in 60000 ms. Pool status: …')
  for (const error of [driverError('Neo.TransientError.Transaction.DeadlockDetected'), driverError(SERVICE_UNAVAILABLE), full]) {
    t.strictSame(replyToDriverError(error, true), { statusCode: 503, headers: { 'retry-after': '1' } })
    t.strictSame(replyToDriverError(error, false), { statusCode: 503 })
  }
  t.match(replyToDriverError(Object.assign(driverError('x'), { retryable: undefined, retriable: true }), true), { statusCode: 503 }, 'the flag\'s name in older drivers')
  for (const error of [
    driverError('Neo.ClientError.Statement.SyntaxError'), driverError('N/A'), new Error('the app\'s own'),
    Object.assign(new Error('of another library'), { retryable: true }), null, undefined, 'text',
  ]) {
    t.equal(replyToDriverError(error, true), undefined)
  }
})
