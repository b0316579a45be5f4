import type { SessionStore } from '../stores/store.js'
import type { Lifetime } from './expiry.js'
import type { SessionSettings } from './settings.js'

type Log = Parameters<NonNullable<SessionStore['checkAtBoot']>>[0]

/** Checks the options and the store when the plugin is registered. It rejects to stop the boot. */
export async function checkSettings ({ lifetime, store }: SessionSettings, log: Log): Promise<void> {
  warnOfMilliseconds(lifetime, log)
  await store.checkAtBoot?.(log)
}

/** Warns of a lifetime that was probably meant in milliseconds: a whole number of minutes in milliseconds, but not of days in seconds. */
function warnOfMilliseconds (lifetime: Lifetime, log: Log): void {
  for (const name of ['ttl', 'maxAge'] as const) {
    const seconds = lifetime[name]
    if (seconds === null || seconds < 300_000 || seconds % 60_000 !== 0 || (seconds % 86_400 === 0 && seconds < 86_400_000)) continue
    log.warn(`${name}: ${seconds} is in seconds: ${Math.round(seconds / 86_400)} days. If milliseconds were meant, write ${seconds / 1000}`)
  }
}
