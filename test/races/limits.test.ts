import t from 'tap'
import { tokenSessions, type CompleteTokenProvider, type SessionData } from '../../lib/index.js'
import { barrier } from '../support/barrier.js'
import { inEachPlace } from '../support/places.js'
import { scaled } from '../support/scale.js'

async function idsOf (users: CompleteTokenProvider<SessionData>, subject: string): Promise<string[]> {
  const all: string[] = []
  for await (const { id } of users.list({ subject })) all.push(id)
  return all
}

/** 50 logins of one subject at once, in five processes, end with exactly five sessions, whichever of them give way. */
await inEachPlace(t, async (t, place) => {
  const processes = Array.from({ length: 5 }, () => tokenSessions({ store: place.connect(), ttl: 1000, maxSessions: 5 }))
  t.teardown(() => Promise.all(processes.map((users) => users.close())))
  const users = processes[0]!
  for (let round = 0; round < scaled(5, 30); round++) {
    const subject = `ada ${round}`
    const go = barrier()
    const logins = Array.from({ length: 50 }, async (_, n) => {
      const users = processes[n % processes.length]!
      const session = await users.create(n % 3 === 0 ? { subject } : {})
      if (n % 3 === 1) session.regenerate()
      await go.opened
      if (n % 3 === 0) session.renew()
      else session.subject = subject
      // One that was ended by the others meanwhile is told so.
      await session.commit().catch((error: unknown) => { if (Object(error).code !== 'FST_SESSION_GONE') throw error })
      return session
    })
    go.open()
    const sessions = await Promise.all(logins)
    const left = await idsOf(users, subject)
    t.equal(left.length, 5)
    t.ok(left.every((id) => sessions.some((session) => session.id === id)))
    await users.endAll({ subject })
  }

  // With `onLimit: 'refuse'` five of them are let in, and 45 are told.
  const strict = Array.from({ length: 5 }, () => tokenSessions({ store: place.connect(), ttl: 1000, maxSessions: 5, onLimit: 'refuse' }))
  t.teardown(() => Promise.all(strict.map((users) => users.close())))
  for (let round = 0; round < scaled(5, 30); round++) {
    const subject = `bob ${round}`
    const go = barrier()
    const logins = Array.from({ length: 50 }, async (_, n) => {
      const users = strict[n % strict.length]!
      if (n % 4 === 0) {
        await go.opened
        return (await users.create({ subject })).id
      }
      const session = await users.create()
      if (n % 4 === 1) session.regenerate()
      if (n % 4 === 2) session.renew()
      session.subject = subject
      await go.opened
      await session.commit()
      return session.id
    })
    go.open()
    const outcomes = await Promise.allSettled(logins)
    const ids = outcomes.flatMap((outcome) => outcome.status === 'fulfilled' ? [outcome.value] : [])
    t.equal(ids.length, 5)
    t.ok(outcomes.every((outcome) => outcome.status === 'fulfilled' || Object(outcome.reason).code === 'FST_SESSION_SUBJECT_LIMIT'))
    t.strictSame((await idsOf(users, subject)).sort(), ids.sort(), 'those that were let in are there, and no other')
    await users.endAll({ subject })
  }
}, { clock: false })
