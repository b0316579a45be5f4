import { nothing } from '../../util/maybe-promise.js'
import type { Lease, Tracking, TrackListener } from '../track.js'

/** Reports changed sessions within the write: nothing is reported late. */
export class Trackers {
  readonly #listeners = new Set<TrackListener>()

  track (listener: TrackListener): Tracking {
    const own: TrackListener = { changed: (id) => { listener.changed(id) }, lost: nothing } // one listener may track twice
    this.#listeners.add(own)
    return { lag: () => 0, checkAtBoot: async () => {}, stop: () => { this.#listeners.delete(own) } }
  }

  changed (id: string): void {
    if (this.#listeners.size > 0) for (const listener of this.#listeners) listener.changed(id)
  }
}

/** Leases after which expired ones are removed. */
const sweptEvery = 1000

/** The leases of this process, and finished work. */
export class Leases {
  /** `holder`: `undefined` once the work is done. */
  readonly #leases = new Map<string, { readonly holder: string | undefined, readonly until: number }>()
  #written = 0

  lease (work: string, holder: string, ms: number): Lease {
    const lease = this.#leases.get(work)
    if (lease !== undefined && lease.holder !== holder && lease.until > Date.now()) return lease.holder === undefined ? 'done' : 'taken'
    this.#write(work, holder, ms)
    return 'held'
  }

  finish (work: string, ms: number): void {
    this.#write(work, undefined, ms)
  }

  #write (work: string, holder: string | undefined, ms: number): void {
    const now = Date.now()
    this.#leases.set(work, { holder, until: now + ms })
    if (++this.#written % sweptEvery !== 0) return
    for (const [work, { until }] of this.#leases) if (until <= now) this.#leases.delete(work)
  }
}
