import type { SessionChange, SessionRecord, SessionStore, Successor } from '../../../lib/index.js'
import { Random } from '../random.js'

type Fault = (store: SessionStore, random: Random) => Partial<SessionStore>

/** A change that reads and deletes one key, as a claim does. */
function isClaim ({ expect, remove, set }: SessionChange): boolean {
  return expect.size === 1 && remove.length === 1 && set.size === 0
}

/** Faults that a store might have, by name: what each does from time to time. */
export const faults: Record<string, Fault> = {
  'an increment is lost': (store, random) => ({
    commit: async (id, change) => {
      if (change.increment.size === 0 || !random.onceIn(10)) return store.commit(id, change)
      const result = await store.commit(id, { ...change, increment: new Map() })
      return result.status === 'committed' ? { ...result, increments: [...change.increment.values()] } : result
    },
  }),
  'a commit is applied twice': (store, random) => ({
    commit: async (id, change) => {
      const result = await store.commit(id, change)
      if (change.increment.size > 0 && random.onceIn(10)) await store.commit(id, { ...change, expect: new Map() })
      return result
    },
  }),
  'an end is forgotten': (store, random) => ({
    end: (id, generation) => random.onceIn(3) ? true : store.end(id, generation),
  }),
  'a claim is answered to two': (store) => ({
    commit: async (id, change) => {
      const result = await store.commit(id, change)
      return isClaim(change) && result.status === 'conflict' ? { status: 'committed', increments: [] } : result
    },
  }),
  'a load answers another session\'s record': (store, random) => {
    const ids: string[] = []
    return {
      load: (id) => store.load(ids.length > 1 && random.onceIn(50) ? random.pick(ids) : id),
      create: (id, record) => {
        ids.push(id)
        return store.create(id, record)
      },
    }
  },
  'a session is found after its end': (store, random) => {
    const records = new Map<string, SessionRecord | Successor>()
    return {
      load: async (id) => {
        const record = await store.load(id)
        if (record !== undefined) records.set(id, record)
        return record ?? (random.onceIn(3) ? records.get(id) : undefined)
      },
    }
  },
  'an update does not look at the present value': (store, random) => ({
    commit: (id, change) => store.commit(id, change.set.size > 0 && random.onceIn(3) ? { ...change, expect: new Map() } : change),
  }),
  'a renewal leaves the old session where it was': (store, random) => ({
    renew: async (id, newId, change) => {
      const record = await store.load(id)
      const result = await store.renew(id, newId, change)
      if (record !== undefined && 'fields' in record && random.onceIn(5)) await (store as Partial<{ replace: (id: string, record: SessionRecord) => unknown }>).replace?.(id, record)
      return result
    },
  }),
}

/** A store that has a fault. */
export function faulty (store: SessionStore, fault: Fault, seed: number): SessionStore {
  return {
    load: (id) => store.load(id),
    create: (id, record) => store.create(id, record),
    commit: (id, change) => store.commit(id, change),
    renew: (id, newId, change) => store.renew(id, newId, change),
    regenerate: (id, newId, record) => store.regenerate(id, newId, record),
    end: (id, generation) => store.end(id, generation),
    close: () => store.close(),
    ...fault(store, new Random(seed)),
  }
}
