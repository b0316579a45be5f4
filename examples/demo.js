/**
 * `npm run demo`, also from a fresh checkout: gets the packages that the example needs, and no others, and runs `run.ts` on the
 * sources, so that nothing has to be built.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)
const [name = 'basket'] = process.argv.slice(2)

/** The examples that need all packages of the project (drivers of databases, the pages' libraries), and a checkout that has them all already: none is taken from it. */
const needsAll = ['people', 'notes'].includes(name) || existsSync(new URL('node_modules/tap', root))

function isInstalled (last) {
  const installed = new URL('node_modules/.package-lock.json', root)
  return existsSync(installed) && statSync(installed).mtimeMs > statSync(new URL('package-lock.json', root)).mtimeMs && existsSync(new URL(`node_modules/${last}`, root))
}

if (!isInstalled(needsAll ? 'tap' : 'tsx')) {
  const start = performance.now()
  process.stderr.write(`Getting the packages that ${name} needs, once…\n`)
  const args = ['ci', ...needsAll ? [] : ['--workspace=examples/packages'], '--no-audit', '--no-fund', '--loglevel=error']
  const { status } = spawnSync('npm', args, { cwd: fileURLToPath(root), stdio: ['ignore', 2, 2], shell: process.platform === 'win32' })
  if (status !== 0) process.exit(status ?? 1)
  process.stderr.write(`They are there, after ${Math.round((performance.now() - start) / 1000)} seconds.\n`)
}

const { register } = await import('tsx/esm/api')
register({ tsconfig: fileURLToPath(new URL('tsconfig.json', import.meta.url)) })
await import('./run.ts')
