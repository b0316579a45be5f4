import { currentEntry, type Entry, type Step } from './entry.js'

/** The driver leaves the parameters of queries out of its log. */
const message = /^(.*?)[CS]: (BEGIN|RUN|COMMIT|ROLLBACK|RESET|FAILURE)(?: ([^]*))?$/

/** The request that has used a connection last, and whether it has a transaction open there. */
const users = new Map<string, { readonly entry: Entry, readonly isTransaction: boolean }>()

/** A `logging` of neo4j-driver that tells the drawer which queries and transactions go over the wire. */
export const watchCypher = {
  level: 'debug' as const,
  logger (_level: string, text: string): void {
    const [, connection = '', what = '', rest = ''] = message.exec(text) ?? []
    const user = users.get(connection)
    // An answer comes from the socket, which knows of no request.
    const entry = what === 'FAILURE' || what === 'RESET' ? user?.entry : currentEntry()
    if (entry === undefined || what === '') return
    const isTransaction = what === 'BEGIN' || (what === 'RUN' && user?.entry === entry && user.isTransaction)
    for (const step of stepsOf(what, rest, user?.isTransaction === true)) entry.add(step)
    if (isTransaction || what === 'RUN') users.set(connection, { entry, isTransaction })
    else users.delete(connection)
  },
}

function stepsOf (what: string, rest: string, isTransaction: boolean): Step[] {
  switch (what) {
    case 'BEGIN': return [{ what, text: 'a transaction' }]
    case 'RUN': return [{ what, text: '', code: dedent(rest.replace(/ \{ \.\.\. \}(?: \{.*\})?$/, '')) }]
    case 'COMMIT': return [{ what, text: 'all of it is kept', tone: 'good' }]
    case 'ROLLBACK': return [{ what, text: 'nothing of it is kept', tone: 'bad' }]
    case 'RESET': return isTransaction ? [{ what: 'ROLLBACK', text: 'by a reset of the connection: nothing is kept', tone: 'bad' }] : []
    default: return [
      { what, text: /Neo\.[\w.]+/.exec(rest)?.[0] ?? 'refused', tone: 'bad' },
      ...isTransaction ? [{ what: 'ROLLBACK', text: 'by the database itself: nothing is kept', tone: 'bad' } as const] : [],
    ]
  }
}

function dedent (query: string): string {
  const lines = query.split('\n').filter((line) => line.trim() !== '')
  const indents = lines.map((line) => line.length - line.trimStart().length)
  const indent = Math.min(...indents.length > 1 ? indents.slice(1) : indents)
  return lines.map((line, i) => line.slice(Math.min(indent, indents[i] ?? 0))).join('\n')
}
