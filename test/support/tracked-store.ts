import { memoryStore, type TrackableStore, type TrackListener } from '../../lib/index.js'
import { SpyStore } from './spy-store.js'

/** A store in memory that tells what it is told to tell. */
export class TrackedStore extends SpyStore implements TrackableStore {
  listener: TrackListener | undefined
  lag = 0
  isStopped = false

  constructor () {
    super(memoryStore())
  }

  track: TrackableStore['track'] = (listener) => {
    this.listener = listener
    return { lag: () => this.lag, checkAtBoot: async () => {}, stop: () => { this.isStopped = true } }
  }

  /** Tells a change; `undefined`: of any session. */
  tell (id: string | undefined): void {
    this.listener?.changed(id)
  }

  /** From now on nothing is heard. */
  lose (): void {
    this.lag = Infinity
    this.listener?.lost()
  }
}
