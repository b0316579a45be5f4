import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))

t.setTimeout(300_000)

t.test('library, tests and examples are sound in strict TypeScript', async (t) => {
  const { stdout } = await promisify(execFile)('npx', ['--no-install', 'tsc', '-p', 'test'], { cwd: root }).catch((error: { stdout: string }) => error)
  t.equal(stdout, '')
})
