import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** An application that a page shows file by file, in a folder of its own. */
export interface PageApp {
  readonly folder: string
  readonly files: readonly string[]
}

/**
 * Makes the application of a page: each code goes into the file that its paragraph names last.
 * @param ending of the files, and the language of the codes
 * @param packages what it imports: folders in the checkout, by name. The package itself is always there, as it was built
 */
export function pageApp (t: Test, page: string, ending: 'js' | 'ts', packages: Readonly<Record<string, string>> = {}): PageApp {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }' })
  const text = readFileSync(join(root, page), 'utf8')
  const blocks = [...text.matchAll(new RegExp(`\`([^\`\\s]+\\.${ending})\`(?:(?!^\`\`\`)[^])*?^\`\`\`${ending}\\n([^]*?)^\`\`\`$`, 'gm'))]
  for (const [, path = '', code = ''] of blocks) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), code)
  }
  for (const [name, target] of Object.entries({ ...packages, 'fastify-request-session': '.' })) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, target), link, 'dir')
  }
  return { folder, files: blocks.map(([, path]) => path as string) }
}
