/**
 * Starts an example: `npm run demo` the basket, `npm run demo -- pizza` another. `PORT` (3000) and `HOST`
 * (127.0.0.1) say where it listens. Prints a line with the example, where its sessions live, and its address, and below it what to
 * try; where other machines reach it (`HOST=0.0.0.0`), its address for a phone too.
 */
import { existsSync, readdirSync } from 'node:fs'
import { renderUnicodeCompact } from 'uqr'
import type { ExampleModule } from './shared/example.js'
import { addressForPhone, listen, placeFrom } from './shared/listen.js'
import { StartError } from './shared/start-error.js'

const here = new URL('./', import.meta.url)

/** The folders that have a `main.ts`. */
function exampleNames (): string[] {
  return readdirSync(here).filter((name) => existsSync(new URL(`${name}/main.ts`, here))).sort()
}

async function run ([name = 'basket', ...rest]: string[]): Promise<void> {
  const names = exampleNames()
  if (!names.includes(name) || rest.length > 0) {
    throw new StartError(`There is no example ${JSON.stringify([name, ...rest].join(' '))}. There are: ${names.join(', ')}.`)
  }
  const place = placeFrom(process.env)
  const { start } = await import(new URL(`${name}/main.ts`, here).href) as ExampleModule
  const { app, store, tries } = await start()
  try {
    const url = await listen(app, place)
    console.log(`${name} on ${store}: ${url}`)
    console.log(tries(url).map((text, i) => `  ${i + 1}. ${text}`).join('\n'))
    const phone = addressForPhone(app)
    if (phone !== undefined) console.log(`On a phone in this network: ${phone}\n${renderUnicodeCompact(phone, { border: 2 })}`)
  } catch (error) {
    await app.close()
    throw error
  }
}

run(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof StartError ? error.message : error)
  process.exitCode = 1
})
