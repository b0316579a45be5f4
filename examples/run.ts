/**
 * Starts an example: `npm run demo` the basket, `npm run demo -- pizza` another. `PORT` (3000) and `HOST`
 * (127.0.0.1) say where it listens. Prints one line: the example, where its sessions live, and its address.
 */
import { existsSync, readdirSync } from 'node:fs'
import type { ExampleModule } from './shared/example.js'
import { listen, placeFrom } from './shared/listen.js'
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
  const { app, store } = await start()
  try {
    console.log(`${name} on ${store}: ${await listen(app, place)}`)
  } catch (error) {
    await app.close()
    throw error
  }
}

run(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof StartError ? error.message : error)
  process.exitCode = 1
})
