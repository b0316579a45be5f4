import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Example } from './doc-examples.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Pages whose examples are the files of one application, which has a test of its own. */
const applications = ['docs/getting-started.md', 'docs/first-tests.md', 'docs/nestjs.md', 'docs/nestjs-guards.md', 'docs/nestjs-gateway.md']

/** The pages whose examples stand for themselves, by their paths in the checkout. */
const pages: readonly string[] = ['README.md', 'CONTRIBUTING.md', 'AGENTS.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((page) => !applications.includes(page))

/** Reads the examples in TypeScript of all pages, each in its frame of `test/docs/frames.md` if it has one. */
export function pageExamples (): Example[] {
  const frames = new Map([...read('test/docs/frames.md').matchAll(/^## (\S+) (\d+)\n\n```ts\n([^]*?)\n```$/gm)].map(([, page, n, frame]) => [`${page} ${n}`, frame as string]))
  const examples = pages.flatMap((page) => codesOf(page).map((code, i) => {
    const place = `${page} ${i + 1}`
    const frame = frames.get(place)
    frames.delete(place)
    return { name: place.replace(/\.md /, '-page-').replaceAll('/', '-'), code: frame === undefined ? code : frame.replace(/^\/\/ …$/m, () => code) }
  }))
  if (frames.size > 0) throw new Error(`frames without an example: ${[...frames.keys()].join(', ')}`)
  return examples
}

function codesOf (page: string): string[] {
  return [...read(page).matchAll(/^```ts\n([^]*?)\n```$/gm)].map(([, code]) => code as string)
}

function read (path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
