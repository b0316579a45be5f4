import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const root = new URL('../../', import.meta.url)

t.test('the package has the command that the README calls, and its built file runs', async (t) => {
  const { bin, version } = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as { bin: Record<string, string>, version: string }
  t.strictSame(Object.keys(bin), ['fastify-request-session'])
  const file = fileURLToPath(new URL(bin['fastify-request-session'] ?? '', root))
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file, '--version'])
  t.strictSame({ stdout, stderr }, { stdout: `${version}\n`, stderr: '' })
})
